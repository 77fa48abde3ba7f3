# Three pictures for a course team, in R: from encrypted daily logs and a database package to how
# active the course is, where its videos are left, and which problems are hard.
#
# It takes gpg, `pip install 'edxlogs[derive]'`, and in R
#   install.packages(c("duckdb", "ggplot2"))
#
# Run it by `Rscript course_team.R` in an empty folder. `edxlogs demo` makes the files: two weeks of
# two sites, encrypted, a package, and the key. For files of your own, name their folder, your
# package and your course, and leave out GNUPGHOME: the keys are your own then.

library(duckdb)
library(ggplot2)

logs <- "demo/logs"
package <- "demo/universityx-2014-10-19.zip"
course <- "course-v1:UniversityX+CS101+2014_T1"
site <- "prod"

edxlogs <- function(...) {
  status <- system2("edxlogs", shQuote(c(...)))
  if (status != 0) stop("edxlogs ended with status ", status)
}

edxlogs("demo", "demo")
Sys.setenv(GNUPGHOME = normalizePath("demo/gnupg"))

# From files to tables. No decrypted log is written to disk. Run it again after each delivery: only
# what is new is read.
edxlogs("tables", logs, "-o", "event_tables")
edxlogs("db", "convert", package, "-o", "tables")
edxlogs("derive", "--events", "event_tables", "--db", "tables", "--course", course, "-o", "derived")

connection <- dbConnect(duckdb())
for (table in c("course_summary", "course_day", "time_on_task", "video_segments", "item_stats")) {
  dbExecute(connection, sprintf(
    "create view %s as from 'derived/%s/**/*.parquet' where course_id = '%s' and site = '%s'",
    table, table, course, site
  ))
}
ask <- function(sql) dbGetQuery(connection, sql)

print(ask("
    select n_enrolled, n_acting, n_viewed, n_certified, n_events, round(time_s / 3600) as hours
    from course_summary
"))

# How active is the course? Hours of each day by what was done, and above them the learners.
activity <- ask("
    select day, n_learners, sum(time_video_s) / 3600 as video,
        sum(time_problem_s) / 3600 as problem, sum(time_text_s) / 3600 as text,
        sum(time_forum_s + time_ora_s + time_other_s) / 3600 as other
    from course_day
    join time_on_task using (day)
    where is_staff is not true
    group by all
    order by day
")
kinds <- c("video", "problem", "text", "other")
hours <- data.frame(
  day = rep(activity$day, length(kinds)),
  kind = factor(rep(kinds, each = nrow(activity)), levels = rev(kinds)),
  hours = unlist(activity[kinds])
)
picture <- ggplot(hours, aes(day, hours)) +
  geom_area(aes(fill = kind)) +
  geom_text(aes(day, 0, label = n_learners), activity, vjust = -0.5) +
  labs(x = NULL, y = "Hours; the numbers are active learners", fill = NULL)
ggsave("activity.png", picture, width = 8, height = 4, dpi = 72)

# Where are videos left? Learners who saw each five seconds, and how often these were seen: where the
# line lies far above the area, people watch again.
segments <- ask("
    select display_name, start_s, users, views
    from video_segments
    order by display_name, start_s
")
picture <- ggplot(segments, aes(start_s)) +
  geom_area(aes(y = users), alpha = 0.3) +
  geom_line(aes(y = views)) +
  facet_wrap(~display_name, nrow = 2) +
  labs(x = "Second", y = "Learners (area), viewings (line)")
ggsave("videos.png", picture, width = 8, height = 4, dpi = 72)

# Which problems are hard? The mean score of first attempts and of last ones, from 0 to 1, of each
# input of each problem. Inputs that fewer than ten learners answered are left out.
problems <- ask("
    select display_name || ', ' || regexp_extract(input_id, '_(\\d+_\\d+)$', 1) as input, n,
        p_first, p_last
    from item_stats
    where p_first is not null
    order by p_first
")
problems$input <- factor(problems$input, levels = rev(problems$input))
picture <- ggplot(problems, aes(y = input)) +
  geom_segment(aes(x = p_first, xend = p_last, yend = input), colour = "grey") +
  geom_point(aes(x = p_first, colour = "first attempt")) +
  geom_point(aes(x = p_last, colour = "last attempt")) +
  xlim(0, 1) +
  labs(x = "Mean score", y = NULL, colour = NULL)
ggsave("problems.png", picture, width = 8, height = 4, dpi = 72)
dbDisconnect(connection, shutdown = TRUE)
