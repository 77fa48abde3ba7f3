-- table: simeon_person_course_day
-- about: What each learner did on each day, with the column names of simeon and edx2bigquery.
--   Theirs has a row for each day with an event, and for days on which the state of a problem was
--   made; ours has one for each day with an action.
-- inputs: problem_events problem_inputs video_events forum_events navigation_events requests
-- needs: person_course_day learner_events
-- order: username date
-- columns:
--   username string [role: username]: Username of the learner.
--   course_id string: Course id.
--   date date: Day in the time zone `tz`.
--   nevents int64: Events of the learner.
--   nprogcheck int64: How often the progress page was opened.
--   nshow_answer int64: How often an answer was shown.
--   nvideo int64: Video actions.
--   nproblem_check int64: Problem checks.
--   nforum int64: Requests to the forum.
--   ntranscript int64: How often a transcript was shown or hidden.
--   nseq_goto int64: How often a unit was chosen by its tab.
--   nseek_video int64: Jumps in videos.
--   npause_video int64: How often a video was paused.
--   nvideos_viewed int64: Videos of which at least five seconds were seen.
--   nvideos_watched_sec float64 [s]: Seconds of video seen, each part counted once.
--   nforum_reads int64: How often the learner read a thread.
--   nforum_posts int64: Posts written.
--   nforum_threads int64: Threads in which the learner did anything.
--   nproblems_answered int64: Problems checked.
--   nproblems_attempted int64: Problem checks.
--   nproblems_multiplechoice int64: Inputs of type `multiplechoiceresponse` that were checked.
--   nproblems_choice int64: Inputs of type `choiceresponse` that were checked.
--   nproblems_numerical int64: Inputs of type `numericalresponse` that were checked.
--   nproblems_option int64: Inputs of type `optionresponse` that were checked.
--   nproblems_custom int64: Inputs of type `customresponse` that were checked.
--   nproblems_string int64: Inputs of type `stringresponse` that were checked.
--   nproblems_mixed int64: Null: an input has one type.
--   nproblems_forumula int64: Inputs of type `formularesponse` that were checked.
--   nproblems_other int64: Inputs of other types that were checked.
--   first_event timestamp: Time of the first action.
--   last_event timestamp: Time of the last action.
--   avg_dt float64 [s]: Mean time to an event of the day from the one before, over gaps of at most
--     five minutes.
--   sdv_dt float64 [s]: Standard deviation of these gaps.
--   max_dt float64 [s]: Longest of these gaps.
--   n_dt int64: Number of these gaps.
--   sum_dt float64 [s]: Sum of these gaps.
-- differs: nevents nproblem_check nvideo ntranscript nvideos_viewed nvideos_watched_sec
--   nforum_reads nforum_posts nforum_threads nproblems_answered nproblems_attempted
--   nproblems_multiplechoice nproblems_choice nproblems_numerical nproblems_option
--   nproblems_custom nproblems_string nproblems_forumula nproblems_other first_event last_event
with
gaps as (
    select
        site, user_id, day,
        event_table = 'requests' and route = 'discussion' as is_asked,
        epoch_us(moment) - epoch_us(
            lag(moment) over (partition by site, user_id order by moment)
        ) as gap_us
    from learner_events
),
steps as (
    select
        site, user_id, day,
        count(*) filter (where is_asked) as n_asked,
        count(*) filter (where gap_us <= 300000000) as n_dt,
        sum(gap_us) filter (where gap_us <= 300000000) as us,
        sum(gap_us::hugeint * gap_us) filter (where gap_us <= 300000000) as us2,
        max(gap_us) filter (where gap_us <= 300000000) as max_us
    from gaps
    group by all
),
types as (
    select
        site, user_id, day,
        from_json(n_inputs_by_type, '"MAP(VARCHAR, BIGINT)"') as of_type
    from person_course_day
)
select
    username, course_id, day as date, n_all_events as nevents,
    n_progress as nprogcheck, n_answers_shown as nshow_answer, n_video as nvideo,
    n_checks as nproblem_check,
    case when getvariable('has_requests') then n_asked end as nforum,
    n_transcript as ntranscript, n_goto as nseq_goto, n_seek as nseek_video,
    n_pause as npause_video, n_videos as nvideos_viewed, video_seconds as nvideos_watched_sec,
    n_forum_reads as nforum_reads, n_forum_posts as nforum_posts,
    n_threads_touched as nforum_threads,
    n_problems as nproblems_answered, n_checks as nproblems_attempted,
    case when of_type is not null then coalesce(of_type['multiplechoiceresponse'], 0) end
    as nproblems_multiplechoice,
    case when of_type is not null then coalesce(of_type['choiceresponse'], 0) end
    as nproblems_choice,
    case when of_type is not null then coalesce(of_type['numericalresponse'], 0) end
    as nproblems_numerical,
    case when of_type is not null then coalesce(of_type['optionresponse'], 0) end
    as nproblems_option,
    case when of_type is not null then coalesce(of_type['customresponse'], 0) end
    as nproblems_custom,
    case when of_type is not null then coalesce(of_type['stringresponse'], 0) end
    as nproblems_string,
    null as nproblems_mixed,
    case when of_type is not null then coalesce(of_type['formularesponse'], 0) end
    as nproblems_forumula,
    case when of_type is not null then coalesce(list_sum(map_values(of_type)), 0) end
    - nproblems_multiplechoice - nproblems_choice - nproblems_numerical - nproblems_option
    - nproblems_custom - nproblems_string - nproblems_forumula as nproblems_other,
    first_event, last_event,
    case when n_dt > 0 then round(us::double / n_dt / 1e6, 12) end as avg_dt,
    case
        when n_dt > 1
        then round(sqrt((n_dt * us2 - us * us)::double / (n_dt * (n_dt - 1))::double) / 1e6, 12)
    end as sdv_dt,
    max_us / 1e6 as max_dt, n_dt, us / 1e6 as sum_dt
from person_course_day
left join steps using (site, user_id, day)
left join types using (site, user_id, day)
