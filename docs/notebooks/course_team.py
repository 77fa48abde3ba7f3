# %% [markdown]
# # Three pictures for a course team
#
# From encrypted daily logs and a database package to what a course team asks for: how active the
# course is, where its videos are left, and which problems are hard. It takes gpg and
# `pip install 'edxlogs[derive]' matplotlib pandas`.
#
# `edxlogs.demo` makes the files: two weeks of two sites, encrypted, a package, and the key. For
# files of your own, name their folder, your package and your course, and leave out `gnupg_home`:
# the keys are your own then.

# %%
import duckdb
import matplotlib.pyplot as plt
import pandas

import edxlogs

made = edxlogs.demo("demo")
course, site = "course-v1:UniversityX+CS101+2014_T1", "prod"
print(made.files, "logs, such as", min(made.logs.iterdir()).name)
print("and", made.package.name)

# %% [markdown]
# ## From files to tables
#
# Logs become tables of events, the package becomes tables, and derived tables are made of both.
# No decrypted log is written to disk. Run it again after each delivery: only what is new is read.

# %%
edxlogs.write_event_tables(made.logs, "event_tables", gnupg_home=made.gnupg_home)
edxlogs.convert(made.package, "tables", gnupg_home=made.gnupg_home)
edxlogs.derive("derived", events="event_tables", db="tables", course=course)


def ask(sql: str) -> pandas.DataFrame:
    """The answer of the course's derived tables to a query."""
    with duckdb.connect() as connection:
        for table in (
            "course_summary",
            "course_day",
            "time_on_task",
            "video_segments",
            "item_stats",
        ):
            rows = connection.read_parquet(f"derived/{table}/**/*.parquet")
            rows.filter(f"course_id = '{course}' and site = '{site}'").create_view(table)
        return connection.sql(sql).df()


ask("""
    select n_enrolled, n_acting, n_viewed, n_certified, n_events, round(time_s / 3600) as hours
    from course_summary
""")

# %% [markdown]
# ## How active is the course?
#
# Learners with an action on each day, and the hours that they spent. An action is what somebody
# did, not what a page sent by itself.

# %%
activity = ask("""
    select day, n_learners, sum(time_video_s) / 3600 as video,
        sum(time_problem_s) / 3600 as problem, sum(time_text_s) / 3600 as text,
        sum(time_forum_s + time_ora_s + time_other_s) / 3600 as other
    from course_day
    join time_on_task using (day)
    where is_staff is not true
    group by all
    order by day
""")
days = activity["day"].dt.strftime("%d %b")
figure, (above, below) = plt.subplots(2, figsize=(8, 4.5), sharex=True, layout="constrained")
above.bar(days, activity["n_learners"])
above.set_ylabel("Active learners")
kinds = ["video", "problem", "text", "other"]
below.stackplot(days, *(activity[kind] for kind in kinds), labels=kinds)
below.set_ylabel("Hours")
below.legend(ncols=4, fontsize="small")
below.tick_params(axis="x", rotation=45)

# %% [markdown]
# ## Where are videos left?
#
# Learners who saw each five seconds, and how often these were seen: where the second line lies far
# above the first, people watch again.

# %%
segments = ask("""
    select display_name, start_s, users, views
    from video_segments
    order by display_name, start_s
""")
figure, axes = plt.subplots(2, 4, figsize=(8, 4), sharex=True, sharey=True, layout="constrained")
figure.supxlabel("Second")
figure.supylabel("Learners (area), viewings (line)")
for place, (title, video) in zip(axes.flat, segments.groupby("display_name"), strict=True):
    place.fill_between(video["start_s"], video["users"], alpha=0.3)
    place.plot(video["start_s"], video["views"], linewidth=1)
    place.set_title(title, fontsize="small")

# %% [markdown]
# ## Which problems are hard?
#
# The mean score of first attempts and of last ones, from 0 to 1, of each input of each problem.
# Where the two lie far apart, trying again helps. Inputs that fewer than ten learners answered are
# left out.

# %%
problems = ask("""
    select display_name || ', ' || regexp_extract(input_id, '_(\\d+_\\d+)$', 1) as input, n,
        p_first, p_last
    from item_stats
    where p_first is not null
    order by p_first
""")
figure, place = plt.subplots(figsize=(8, 4.5), layout="constrained")
place.hlines(problems["input"], problems["p_first"], problems["p_last"], color="lightgrey")
place.plot(problems["p_first"], problems["input"], "o", label="first attempt")
place.plot(problems["p_last"], problems["input"], "o", label="last attempt")
place.set_xlim(0, 1)
place.set_xlabel("Mean score")
place.legend(loc="lower left")
place.invert_yaxis()
problems.head(5).round(2)
