"use strict";
(async () => {
  const DAY = 86400000;
  const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
  const ROWS = 100; // of a table before the rest is asked for
  const main = document.getElementById("main");
  const hint = document.getElementById("hint");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const count = new Intl.NumberFormat("en").format;
  const charts = [];

  const data = await unpacked();
  const siteNames = data.sites.map((site) => site ?? "unknown");
  const iso = (day) => {
    const moment = new Date(day * DAY);
    return Number.isNaN(moment.getTime()) ? "" : moment.toISOString().replace(/T.*/, "");
  };
  const minute = (second) =>
    second === null ? "" : new Date(second * 1000).toISOString().slice(0, -8).replace("T", " ");
  const people = (number, exact) => (exact ? "" : "~") + count(number);
  const monday = (day) => day - (((day + 3) % 7) + 7) % 7;

  async function unpacked() {
    const text = atob(document.getElementById("data").textContent);
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).json();
  }

  /* Elements: `text` is always text, whatever it holds. */
  function make(name, attributes = {}, ...inside) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "text") element.textContent = value;
      else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...inside);
    return element;
  }

  function section(id, title, told) {
    const heading = make("h2", { id: `${id}-title`, text: title });
    const element = make("section", { id, "aria-labelledby": `${id}-title` }, heading);
    if (told) element.append(make("p", { class: "dim", text: told }));
    main.append(element);
    document
      .getElementById("nav")
      .append(make("li", {}, make("a", { href: `#${id}`, text: title })));
    return element;
  }

  function choose(label, options, changed) {
    const select = make("select", { onchange: () => changed(select.value) });
    options.forEach(([value, text]) => select.append(make("option", { value, text })));
    return make("label", { text: `${label} ` }, select);
  }

  /* Tables: sorted by a click, filtered by a word, a page of rows at a time. */
  function table(caption, columns, rows, { open = false } = {}) {
    let order = rows.slice();
    let most = ROWS;
    let word = "";
    const head = make("tr");
    const body = make("tbody");
    const told = make("caption", { text: caption });
    const more = make("button", { type: "button", onclick: () => { most = Infinity; draw(); } });
    columns.forEach((column, at) => {
      const button = make("button", { type: "button", text: column.name, onclick: () => sort(at) });
      head.append(make("th", { scope: "col", class: column.number ? "number" : null }, button));
    });
    function sort(at) {
      const th = head.children[at];
      const down = th.getAttribute("aria-sort") === "ascending"
        || (columns[at].number && !th.hasAttribute("aria-sort"));
      for (const other of head.children) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      order.sort((one, two) => {
        const [a, b] = [one[at] ?? "", two[at] ?? ""];
        return sign * (typeof a === "number" && typeof b === "number" ? a - b : `${a}` < `${b}` ? -1 : `${a}` > `${b}` ? 1 : 0);
      });
      draw();
    }
    function shown(row) {
      return columns.map((column, at) => (column.show ? column.show(row[at], row) : row[at] ?? ""));
    }
    function draw() {
      const wanted = word ? order.filter((row) => shown(row).join("\n").toLowerCase().includes(word)) : order;
      body.replaceChildren(...wanted.slice(0, most).map((row) =>
        make("tr", {}, ...shown(row).map((text, at) =>
          make("td", { class: columns[at].number ? "number" : "text", text, dir: columns[at].number ? null : "auto" })))));
      more.hidden = wanted.length <= most;
      more.textContent = `Show all ${count(wanted.length)} rows`;
      told.textContent = wanted.length === rows.length ? caption
        : `${caption}: ${count(wanted.length)} of ${count(rows.length)} rows`;
    }
    const inside = [];
    if (rows.length > 12) {
      const filter = make("input", { type: "search", placeholder: "a word", oninput: () => {
        word = filter.value.toLowerCase();
        draw();
      } });
      inside.push(make("div", { class: "controls" }, make("label", { text: "Rows with " }, filter)));
    }
    const element = make("table", {}, told, make("thead", {}, head), body);
    inside.push(
      make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, element),
      make("p", { class: "more" }, more));
    draw();
    return make("details", { open }, make("summary", { text: `Table: ${caption}` }), ...inside);
  }

  /* Charts: drawn anew where the width or the theme changes. */
  function chart(parent, label, spec) {
    const place = make("div", { class: "chart", role: "img", "aria-label": label });
    const known = { place, spec, view: null, width: 0 };
    parent.append(make("figure", {}, place));
    charts.push(known);
    draw(known);
    return () => draw(known);
  }

  function colors() {
    return dark.matches && !matchMedia("print").matches
      ? { text: "#a2abba", grid: "#2b323d", mark: "#8fb0ff", odd: "#ff8f86", low: "#1d2c4f", high: "#bcd0ff", empty: "#1d232d" }
      : { text: "#5a6475", grid: "#e3e7ee", mark: "#2a5bd7", odd: "#d03a30", low: "#d5e0fb", high: "#123a9c", empty: "#f0f2f6" };
  }

  function draw(known) {
    const width = Math.max(240, known.place.clientWidth || main.clientWidth - 32);
    const color = colors();
    known.width = width;
    const spec = known.spec(width, color);
    if (known.view) known.view.finalize();
    known.view = null;
    if (!spec) {
      known.place.replaceChildren(make("p", { class: "dim", text: "Nothing to draw." }));
      return;
    }
    // What is drawn late, when another was asked for, is drawn where nobody sees it.
    const inside = make("div");
    known.place.replaceChildren(inside);
    const axis = { labelColor: color.text, titleColor: color.text, gridColor: color.grid, domainColor: color.grid, tickColor: color.grid, labelFontSize: 12, labelLimit: width < 600 ? 130 : 300 };
    const config = {
      background: "transparent", font: "system-ui, sans-serif", axis, view: { stroke: null },
      legend: { labelColor: color.text, titleColor: color.text, orient: "top", labelFontSize: 12 },
      header: { labelColor: color.text, titleColor: color.text },
      range: { category: ["#4c78d8", "#e08a2e", "#3f9e6e", "#b65fc2", "#8a7a5c", "#c2504a"] },
    };
    const { many, ...rest } = spec;
    const whole = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", autosize: { type: "pad", contains: "padding" }, padding: 4, ...rest };
    vegaEmbed(inside, whole, {
      mode: "vega-lite", actions: false, config, renderer: many ? "canvas" : "svg", defaultStyle: false,
      tooltip: (_handler, event, _item, value) => point(event, value), logLevel: 1,
    }).then((result) => {
      if (inside.isConnected) known.view = result.view;
      else result.finalize();
    });
  }

  function point(event, value) {
    hint.hidden = !value;
    if (!value) return;
    hint.textContent = typeof value === "object"
      ? Object.entries(value).map(([key, one]) => `${key}: ${one}`).join("\n") : `${value}`;
    const left = Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 8);
    const top = Math.min(event.clientY + 14, innerHeight - hint.offsetHeight - 8);
    hint.style.left = `${Math.max(4, left)}px`;
    hint.style.top = `${Math.max(4, top)}px`;
  }

  /* A stretch of time that buttons move, for all charts over time. */
  const whole = ends(data.days[1]);
  const usual = data.window.length ? data.window : whole;
  const range = { from: usual[0], to: usual[1] + 1 };
  const timed = [];
  function ends(days) {
    return days.length ? days.reduce(([a, b], day) => [Math.min(a, day), Math.max(b, day)], [Infinity, -Infinity]) : [0, 0];
  }
  function move(from, to) {
    const least = 7;
    range.from = Math.max(whole[0], Math.round(from));
    range.to = Math.min(whole[1] + 1, Math.max(range.from + least, Math.round(to)));
    timed.forEach((again) => again());
  }
  function zoom() {
    const span = () => range.to - range.from;
    const at = make("span", { class: "dim", role: "status" });
    timed.push(() => { at.textContent = `${iso(range.from)} to ${iso(range.to - 1)}`; });
    timed[timed.length - 1]();
    const button = (text, label, act) => make("button", { type: "button", text, "aria-label": label, onclick: act });
    return make("div", { class: "controls", role: "group", "aria-label": "Time shown" },
      button("+", "Zoom in", () => move(range.from + span() / 4, range.to - span() / 4)),
      button("−", "Zoom out", () => move(range.from - span() / 2, range.to + span() / 2)),
      button("←", "Earlier", () => move(range.from - span() / 2, range.to - span() / 2)),
      button("→", "Later", () => move(range.from + span() / 2, range.to + span() / 2)),
      button("All", "All time", () => move(whole[0], whole[1] + 1)),
      button("Most", "The time of nearly all events", () => move(usual[0], usual[1] + 1)), at);
  }
  function overTime(parent, label, spec) {
    const again = chart(parent, label, spec);
    timed.push(again);
    dragged(charts[charts.length - 1]);
    return again;
  }

  /* A stretch that a mouse is dragged over is shown alone. */
  function dragged(known) {
    const { place } = known;
    const mark = make("div", { class: "drag", hidden: true });
    let start = null;
    const left = (event) => event.clientX - place.getBoundingClientRect().left + place.scrollLeft;
    const dayAt = (x) => known.view.scale("x").invert(x - known.view.origin()[0]);
    place.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" && event.button === 0 && known.view) start = left(event);
    });
    place.addEventListener("pointermove", (event) => {
      if (start === null) return;
      event.preventDefault();
      if (!mark.isConnected) place.append(mark);
      mark.hidden = false;
      mark.style.left = `${Math.min(start, left(event))}px`;
      mark.style.width = `${Math.abs(left(event) - start)}px`;
    });
    addEventListener("pointerup", (event) => {
      if (start === null) return;
      const ends = [start, left(event)].sort((one, two) => one - two);
      start = null;
      mark.hidden = true;
      if (known.view && ends[1] - ends[0] > 8) move(...ends.map(dayAt));
    });
  }
  /* Days counted from 1970 on a scale of numbers: its ticks are days, months or years. */
  function time(width) {
    const most = Math.max(2, Math.floor(width / 90));
    const span = range.to - range.from;
    const date = (day) => new Date(day * DAY);
    const values = [];
    const [step, unit] = [[1, 1], [2, 1], [7, 1], [14, 1], [1, 30.4], [2, 30.4], [3, 30.4], [6, 30.4], [1, 365.2], [2, 365.2], [5, 365.2], [10, 365.2], [50, 365.2], [100, 365.2], [1000, 365.2]]
      .find(([times, of]) => span / (times * of) <= most) ?? [5000, 365.2];
    if (unit === 1) {
      for (let day = Math.ceil(range.from / step) * step; day < range.to; day += step) values.push(day);
    } else {
      const months = unit < 300 ? step : step * 12;
      const first = date(range.from);
      let month = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months;
      for (; ; month += months) {
        const start = new Date(0);
        start.setUTCFullYear(Math.floor(month / 12), month % 12, 1);
        const day = start.getTime() / DAY;
        if (!(day < range.to)) break;
        if (day >= range.from) values.push(day);
      }
    }
    const format = unit === 1 ? "%b %-d, %Y" : unit < 300 ? "%b %Y" : "%Y";
    return {
      field: "t", type: "quantitative", title: null,
      scale: { domain: [range.from, range.to], nice: false, zero: false },
      axis: { values, labelExpr: `utcFormat(datum.value * ${DAY}, '${format}')`, grid: false, labelOverlap: true },
    };
  }
  const isIn = (day) => day >= range.from && day < range.to;

  /* Rows of a table of site, day, events, people, exact. */
  const rowsOf = (columns) => columns[0].map((_, at) => columns.map((column) => column[at]));
  const dayRows = rowsOf(data.days);
  const weekRows = rowsOf(data.weeks);
  const ofSite = (site) => (row) => site === "" || row[0] === Number(site);
  const siteOptions = [["", "all sites"], ...siteNames.map((name, at) => [String(at), name])];
  const peopleTable = (caption, what, rows) => table(caption,
    [{ name: "site", show: (site) => siteNames[site] }, { name: what, show: iso }, { name: "events", number: true, show: count },
      { name: "people", number: true, show: (n, row) => people(n, row[4]) }], rows);

  if (data.events) {
    daysSection();
    calendarSection();
    peopleSection();
    coursesSection();
    typesSection();
    hoursSection();
  } else {
    section("nothing", "No events", "The sources hold no events, or none that match.");
  }
  oddSection();
  unknownSection();

  let asleep = 0;
  const redraw = () => charts.forEach(draw);
  addEventListener("resize", () => {
    clearTimeout(asleep);
    asleep = setTimeout(() => charts.forEach((one) => one.place.clientWidth !== one.width && draw(one)), 150);
  });
  dark.addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
    redraw();
  });
  addEventListener("afterprint", redraw);
  addEventListener("keydown", (event) => { if (event.key === "Escape") hint.hidden = true; });
  document.documentElement.dataset.drawn = "yes";

  function daysSection() {
    const inside = section("days", "Events over time", "By day, or by week if more than two years are shown. The buttons, or dragging across the chart, change the time that is shown here and in the charts of people and courses.");
    inside.append(zoom());
    const spec = (width, color) => {
      const byWeek = range.to - range.from > 730;
      const sums = new Map();
      for (const [site, day, events] of dayRows) {
        if (!isIn(day)) continue;
        const key = `${site} ${byWeek ? monday(day) : day}`;
        sums.set(key, (sums.get(key) ?? 0) + events);
      }
      const heights = new Map();
      const values = [...sums].map(([key, events]) => {
        const [site, day] = key.split(" ").map(Number);
        const low = heights.get(day) ?? 0;
        heights.set(day, low + events);
        const told = { [byWeek ? "week of" : "day"]: iso(day), site: siteNames[site], events: count(events) };
        return { t: day, t2: day + (byWeek ? 7 : 1), low, high: low + events, site: siteNames[site], told };
      });
      if (!values.length) return null;
      return {
        many: values.length > 1500, width: width - 70, height: 220, data: { values }, mark: { type: "rect", clip: true },
        encoding: {
          x: time(width), x2: { field: "t2" },
          y: { field: "low", type: "quantitative", title: null, axis: { format: "~s" } }, y2: { field: "high" },
          color: siteNames.length > 1 ? { field: "site", type: "nominal", title: null } : { value: color.mark },
          tooltip: { field: "told" },
        },
      };
    };
    overTime(inside, "Bars: events by day and site. The table below has all numbers.", spec);
    inside.append(peopleTable("events by day and site", "day", dayRows));
  }

  function calendarSection() {
    const missing = new Map();
    for (const file of data.files) {
      const days = new Set();
      file.missing.forEach(([a, b]) => { for (let day = a; day <= b; day += 1) days.add(day); });
      missing.set(file.site, { ...file, days });
    }
    const without = data.files.reduce((sum, file) => sum + file.missing.reduce((n, [a, b]) => n + b - a + 1, 0), 0);
    const inside = section("calendar", "Calendar and missing days",
      without ? `${count(without)} days have no file, though they lie between the first and the last file of their site. They are red.` : "No day is missing between the first and the last file of a site, as far as file names tell.");
    const yearOf = (day) => new Date(day * DAY).getUTCFullYear();
    // Date.UTC takes years below 100 for those of the twentieth century.
    const dayOf = (year, month, day) => new Date(0).setUTCFullYear(year, month, day) / DAY;
    const years = [...new Set(dayRows.map((row) => yearOf(row[1])))].sort((a, b) => a - b);
    let site = "";
    let year = "";
    let again = () => {};
    inside.append(make("div", { class: "controls" },
      choose("Site", siteOptions, (value) => { site = value; again(); }),
      choose("Year", [["", "most"], ...years.map((one) => [String(one), String(one)])], (value) => { year = value; again(); })));
    const spec = (width, color) => {
      const sums = new Map();
      for (const [of, day, events, acting, exact] of dayRows) {
        if (!ofSite(site)([of])) continue;
        const known = sums.get(day) ?? [0, 0, 1];
        sums.set(day, [known[0] + events, known[1] + acting, known[2] & exact]);
      }
      const first = dayOf(year ? Number(year) : yearOf(usual[0]), 0, 1);
      const last = dayOf(year ? Number(year) : yearOf(usual[1]), 11, 31);
      const values = [];
      const lacking = site === "" ? [...missing.values()] : [missing.get(Number(site))].filter(Boolean);
      for (let day = first; day <= last; day += 1) {
        const known = sums.get(day);
        const lacks = lacking.filter((file) => file.days.has(day)).map((file) => file.name ?? "unknown");
        if (!known && !lacks.length && !lacking.some((file) => day >= file.first && day <= file.last)) continue;
        const of = yearOf(day);
        const start = dayOf(of, 0, 1);
        values.push({
          year: of, week: (monday(day) - monday(start)) / 7, day: WEEKDAYS[(((day + 3) % 7) + 7) % 7],
          events: known ? known[0] : 0, root: known ? Math.sqrt(known[0]) : 0, lacks: lacks.length ? 1 : 0,
          told: { day: iso(day), events: known ? count(known[0]) : "0", people: known ? people(known[1], known[2]) : "0", ...(lacks.length ? { "no file of": lacks.join(", ") } : {}) },
        });
      }
      const cell = Math.max(4, Math.min(18, Math.floor((width - 84) / 54)));
      return {
        many: values.length > 800, data: { values }, spacing: 6,
        facet: { row: { field: "year", type: "ordinal", title: null, header: { labelAngle: 0, labelAlign: "left" } } },
        spec: {
          width: cell * 54, height: cell * 7, mark: { type: "rect", cornerRadius: cell > 8 ? 2 : 0 },
          encoding: {
            x: { field: "week", type: "ordinal", axis: null, scale: { domain: Array.from({ length: 54 }, (_, at) => at), paddingInner: 0.12 } },
            y: { field: "day", type: "ordinal", sort: WEEKDAYS, title: null, scale: { domain: WEEKDAYS, paddingInner: 0.12 }, axis: { domain: false, ticks: false, values: cell < 10 ? [] : ["Mon", "Wed", "Fri"] } },
            color: {
              condition: [{ test: "datum.lacks", value: color.odd }, { test: "datum.events == 0", value: color.empty }],
              field: "root", type: "quantitative", scale: { range: [color.low, color.high] }, legend: null,
            },
            tooltip: { field: "told" },
          },
        },
      };
    };
    again = chart(inside, "Calendar: one square per day, darker for more events, red where there is no file. The tables below have all numbers.", spec);
    const runs = data.files.flatMap((file) => file.missing.map(([a, b]) => [file.name ?? "unknown", a, b, b - a + 1]));
    inside.append(table("missing days by site", [{ name: "site" }, { name: "first", show: iso }, { name: "last", show: iso }, { name: "days", number: true, show: count }], runs));
    inside.append(table("files by site, from their names", [{ name: "site" }, { name: "first day", show: iso }, { name: "last day", show: iso }, { name: "days missing", number: true, show: count }],
      data.files.map((file) => [file.name ?? "unknown", file.first, file.last, file.missing.reduce((n, [a, b]) => n + b - a + 1, 0)])));
  }

  function peopleSection() {
    const inside = section("people", "Active people", "Different people who did something on a day, and in a week (from Monday). Someone on two sites counts on both.");
    let site = "";
    let again = () => {};
    inside.append(make("div", { class: "controls" }, choose("Site", siteOptions, (value) => { site = value; again(); })), zoom());
    const spec = (width) => {
      const values = [];
      for (const [rows, series] of [[dayRows, "a day"], [weekRows, "a week"]]) {
        const sums = new Map();
        for (const row of rows) {
          if (!ofSite(site)(row) || row[1] + 6 < range.from || row[1] >= range.to) continue;
          const [acting, exact] = sums.get(row[1]) ?? [0, 1];
          sums.set(row[1], [acting + row[3], exact & row[4]]);
        }
        for (const [day, [acting, exact]] of sums) values.push({ t: day, people: acting, series, told: { [series === "a day" ? "day" : "week of"]: iso(day), people: people(acting, exact) } });
      }
      values.sort((one, two) => one.t - two.t);
      if (!values.length) return null;
      return {
        width: width - 70, height: 220, data: { values },
        mark: { type: "line", clip: true, point: values.length < 200, strokeWidth: 1.6 },
        encoding: {
          x: time(width), y: { field: "people", type: "quantitative", title: null, axis: { format: "~s" } },
          color: { field: "series", type: "nominal", title: null }, strokeDash: { field: "series", type: "nominal", title: null },
          tooltip: { field: "told" },
        },
      };
    };
    again = overTime(inside, "Lines: different people per day and per week. The tables below have all numbers.", spec);
    inside.append(peopleTable("active people by day and site", "day", dayRows), peopleTable("active people by week and site", "week of", weekRows));
  }

  function coursesSection() {
    const inside = section("courses", "Courses", "The course runs with the most events: by week, and from the first to the last event. Type a word to choose among them.");
    const rows = data.courses;
    const order = [];
    const known = new Map();
    for (const [id, , events, , , first, last] of rows) {
      if (id === null) continue;
      if (!known.has(id)) {
        known.set(id, { id, at: order.length, events: 0, first: null, last: null });
        order.push(known.get(id));
      }
      const one = known.get(id);
      one.events += events;
      if (first !== null) one.first = one.first === null ? first : Math.min(one.first, first);
      if (last !== null) one.last = one.last === null ? last : Math.max(one.last, last);
    }
    let word = "";
    let redo = [];
    const filter = make("input", { type: "search", placeholder: "a word", oninput: () => { word = filter.value.toLowerCase(); redo.forEach((again) => again()); } });
    inside.append(make("div", { class: "controls" }, make("label", { text: "Courses with " }, filter)), zoom());
    // Course ids differ at their ends: where there is little room, the ends are shown.
    const names = (width) => (width < 600 ? { labelExpr: "length(datum.label) > 19 ? '…' + slice(datum.label, -18) : datum.label" } : {});
    const chosen = (most) => order.filter((one) => one.id.toLowerCase().includes(word)).slice(0, most);
    const byWeek = (width, color) => {
      const courses = chosen(width < 600 ? 12 : 25).filter((one) => one.at < data.courseWeeks.length);
      const values = [];
      for (const one of courses) {
        const [start, pairs] = data.courseWeeks[one.at];
        let week = start;
        for (let at = 0; at < pairs.length; at += 2) {
          week += 7 * pairs[at];
          if (week + 6 >= range.from && week < range.to) values.push({ course: one.id, t: week, t2: week + 7, log: Math.log10(pairs[at + 1]), told: { course: one.id, "week of": iso(week), events: count(pairs[at + 1]) } });
        }
      }
      if (!courses.length) return null;
      return {
        many: values.length > 1500, width: Math.max(120, width - (width < 600 ? 150 : 330)), height: { step: 20 }, data: { values },
        mark: { type: "rect", clip: true },
        encoding: {
          x: time(width), x2: { field: "t2" },
          y: { field: "course", type: "nominal", title: null, scale: { domain: courses.map((one) => one.id) }, axis: names(width) },
          color: { field: "log", type: "quantitative", title: "events a week", scale: { range: [color.low, color.high] }, legend: { labelExpr: "format(pow(10, datum.value), '~s')", tickCount: 4, gradientLength: Math.min(200, width / 2) } },
          tooltip: { field: "told" },
        },
      };
    };
    redo.push(overTime(inside, "Heat map: events per week of the course runs with the most events. The table below has all course runs.", byWeek));
    inside.append(make("h3", { text: "First and last event of each course run" }));
    const spans = (width, color) => {
      const courses = chosen(width < 600 ? 15 : 30).filter((one) => one.first !== null);
      if (!courses.length) return null;
      const values = courses.map((one) => ({ course: one.id, t: one.first / 86400, t2: one.last / 86400, told: { course: one.id, first: minute(one.first), last: minute(one.last), events: count(one.events) } }));
      values.sort((one, two) => one.t - two.t);
      return {
        width: Math.max(120, width - (width < 600 ? 150 : 330)), height: { step: 18 }, data: { values },
        layer: [
          { mark: { type: "bar", height: 8, cornerRadius: 4, clip: true, color: color.mark }, encoding: { x2: { field: "t2" } } },
          { mark: { type: "point", filled: true, size: 40, clip: true, color: color.mark } },
        ],
        encoding: { x: time(width), y: { field: "course", type: "nominal", title: null, scale: { domain: values.map((one) => one.course) }, axis: names(width) }, tooltip: { field: "told" } },
      };
    };
    redo.push(overTime(inside, "Bars from the first to the last event of course runs. The table below has all of them.", spans));
    inside.append(table("course runs by site", [
      { name: "course", show: (id) => id ?? "no course" }, { name: "site", show: (site) => siteNames[site] },
      { name: "events", number: true, show: count }, { name: "people", number: true, show: (n, row) => people(n, row[4]) },
      { name: "people are", show: (exact) => (exact ? "counted" : "estimated") },
      { name: "first event", show: minute }, { name: "last event", show: minute }], rows));
    if (data.courseWeeks.length < order.length) inside.append(make("p", { class: "dim", text: `This page shows weeks for the ${count(data.courseWeeks.length)} course runs with the most events.` }));
  }

  function typesSection() {
    const inside = section("types", "Categories and event types", "Many acts of learners are logged twice: by the browser and by the server. Count one of the two.");
    const categories = new Map();
    for (const [category, , , events] of data.types) categories.set(category, (categories.get(category) ?? 0) + events);
    const ranked = [...categories].sort((one, two) => two[1] - one[1]).map(([name]) => name);
    const nameOf = (category) => category ?? "unknown";
    let chosen = null;
    let again = () => {};
    const bars = (rows, order, width, color, label) => ({
      width: Math.max(120, width - (width < 600 ? 150 : 330)), height: { step: 20 },
      data: { values: rows }, mark: { type: "bar" },
      encoding: {
        y: { field: "name", type: "nominal", title: null, scale: { domain: order } },
        x: { field: "events", type: "quantitative", title: null, axis: { format: "~s", labelOverlap: true }, aggregate: "sum" },
        color: { field: "source", type: "nominal", title: null },
        tooltip: [{ field: "name", title: label }, { field: "source", title: "source" }, { field: "events", aggregate: "sum", format: "," }],
      },
    });
    chart(inside, "Bars: events by category and source. The table below has all of them.", (width, color) => {
      const order = ranked.slice(0, 20).map(nameOf);
      const rows = data.types.map(([category, , source, events]) => ({ name: nameOf(category), source: source ?? "none", events })).filter((row) => order.includes(row.name));
      return bars(rows, order, width, color, "category");
    });
    inside.append(make("h3", { text: "Event types" }), make("div", { class: "controls" },
      choose("Category", [["", "all"], ...ranked.map((name, at) => [String(at), nameOf(name)])], (value) => { chosen = value === "" ? null : Number(value); again(); })));
    again = chart(inside, "Bars: the most frequent event types, by source. The table below has all of them.", (width, color) => {
      const wanted = data.types.filter((row) => chosen === null || row[0] === ranked[chosen]);
      const sums = new Map();
      for (const [, type, , events] of wanted) sums.set(type ?? "none", (sums.get(type ?? "none") ?? 0) + events);
      const order = [...sums].sort((one, two) => two[1] - one[1]).slice(0, 20).map(([name]) => name);
      const rows = wanted.map(([, type, source, events]) => ({ name: type ?? "none", source: source ?? "none", events })).filter((row) => order.includes(row.name));
      return bars(rows, order, width, color, "type");
    });
    inside.append(table("events by category, type and source", [{ name: "category", show: nameOf }, { name: "event type", show: (type) => (type === "(url)" ? "(url): requests" : type ?? "none") }, { name: "source", show: (one) => one ?? "none" }, { name: "events", number: true, show: count }], data.types));
  }

  function hoursSection() {
    const inside = section("hours", "Hours and weekdays", "Events by hour and day of the week, in UTC.");
    let site = "";
    let again = () => {};
    inside.append(make("div", { class: "controls" }, choose("Site", siteOptions, (value) => { site = value; again(); })));
    const rows = rowsOf(data.hours);
    again = chart(inside, "Heat map: events by hour and weekday. The table below has all numbers.", (width, color) => {
      const sums = new Map();
      for (const [of, day, hour, events] of rows) {
        if (ofSite(site)([of])) sums.set(day * 24 + hour, (sums.get(day * 24 + hour) ?? 0) + events);
      }
      const values = [...sums].map(([at, events]) => {
        const day = WEEKDAYS[Math.floor(at / 24) - 1];
        return { day, hour: at % 24, events, told: { day, hour: `${at % 24}:00 to ${at % 24}:59`, events: count(events) } };
      });
      if (!values.length) return null;
      return {
        width: Math.min(width - 60, 760), height: 7 * 24, data: { values }, mark: { type: "rect", cornerRadius: 2 },
        encoding: {
          x: { field: "hour", type: "ordinal", title: null, scale: { domain: Array.from({ length: 24 }, (_, at) => at), paddingInner: 0.06 }, axis: { labelAngle: 0, labelOverlap: true, domain: false, ticks: false } },
          y: { field: "day", type: "ordinal", sort: WEEKDAYS, title: null, scale: { domain: WEEKDAYS, paddingInner: 0.06 }, axis: { domain: false, ticks: false } },
          color: { field: "events", type: "quantitative", title: "events", scale: { zero: true, range: [color.low, color.high] }, legend: { format: "~s", gradientLength: Math.min(200, width / 2) } },
          tooltip: { field: "told" },
        },
      };
    });
    inside.append(table("events by site, weekday and hour", [{ name: "site", show: (one) => siteNames[one] }, { name: "weekday", show: (day) => WEEKDAYS[day - 1] }, { name: "hour, UTC", number: true }, { name: "events", number: true, show: count }], rows));
  }

  function oddSection() {
    const inside = section("odd", "What was odd", "Lines that were mended or rejected, events dated more than a day before the day of their file, and sources that were not delivered in full. Places are sources and lines; what the lines hold is not on this page.");
    if (!data.notes.length && !data.sources.length) {
      inside.append(make("p", { text: "Nothing was odd." }));
      return;
    }
    inside.append(table("what was odd, and where it was first found", [{ name: "kind" }, { name: "what" }, { name: "times", number: true, show: count }, { name: "first places", show: (places) => places.map(([source, line]) => `${source} line ${count(line)}`).join("\n") || "unknown" }], data.notes, { open: true }));
    inside.append(table("sources of which something was odd", [{ name: "source" }, { name: "status" }, { name: "lines", number: true, show: count }, { name: "rejected", number: true, show: count }, { name: "mended", number: true, show: count }, { name: "late", number: true, show: count }], data.sources));
    if (data.leftOut.length) inside.append(make("p", { class: "odd", text: `Left out because of too many groups: ${data.leftOut.join(", ")}.` }));
  }

  function unknownSection() {
    const inside = section("unknown", "Not documented", "Event types and keys that are neither in the EdX Research Guide nor in the platform's public code.");
    if (!data.unknownTypes.length && !data.unknownKeys.length) {
      inside.append(make("p", { text: "None." }));
      return;
    }
    inside.append(table("undocumented event types", [{ name: "event type" }, { name: "events", number: true, show: count }], data.unknownTypes, { open: true }));
    inside.append(table("undocumented keys of events and of their context", [{ name: "key" }, { name: "events", number: true, show: count }], data.unknownKeys, { open: true }));
  }
})().catch((error) => {
  document.getElementById("main").textContent = `This page cannot be drawn here: ${error.message}. It needs a browser of 2023 or newer.`;
  throw error;
});
