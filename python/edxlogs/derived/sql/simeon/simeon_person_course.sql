-- table: simeon_person_course
-- about: Everybody in a course, with the column names of simeon and edx2bigquery. Theirs leaves out
--   people who were active without being enrolled; ours has them, with `registered` false.
-- inputs: db_student_courseenrollment db_auth_user db_auth_userprofile
--   db_certificates_generatedcertificate db_grades_persistentcoursegrade
--   db_courseware_studentmodule db_student_courseaccessrole db_django_comment_client_role_users
--   db_forum problem_events video_events forum_events navigation_events requests
--   enrollment_events olx_cutoffs db_course_structure
-- needs: person_course person_course_day learner_events person_video? course_items?
-- order: username user_id
-- columns:
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the person.
--   username string [role: username]: Username of the person.
--   registered bool: Whether the package lists the person as enrolled, now or before.
--   viewed bool: Whether a block of the course was ever opened.
--   explored bool: Whether at least half of the chapters that learners can see were opened.
--   certified bool: Whether there is a certificate.
--   completed bool: Whether the grade passes.
--   ip string [role: address]: Null: addresses are not offered for a person.
--   cc_by_ip string: Null, like everything that is derived from the address.
--   countryLabel string: Null.
--   continent string: Null.
--   city string: Null.
--   region string: Null.
--   subdivision string: Null.
--   postalCode string: Null.
--   un_major_region string: Null.
--   un_economic_group string: Null.
--   un_developing_nation string: Null.
--   un_special_region string: Null.
--   latitude float64: Null.
--   longitude float64: Null.
--   modal_agent string: Null: browsers are not told apart by device.
--   ever_mobile int64: 1 if any action was in an app, else 0.
--   ever_desktop int64: Null.
--   LoE string: Level of education in the profile.
--   YoB int64: Year of birth; null if before 1900 or less than five years ago.
--   gender string: Gender in the profile.
--   grade float64: Course grade, from 0 to 1.
--   passing_grade float64: Lowest passing grade; known only from the course content (OLX).
--   start_time timestamp: When the person first enrolled.
--   first_event timestamp: Time of the first action.
--   last_event timestamp: Time of the last action.
--   nevents int64: Events of the person.
--   ndays_act int64: Days with an action.
--   nplay_video int64: How often a video began to play.
--   nchapters int64: Chapters in which a block was opened.
--   nforum_posts int64: Forum posts.
--   nforum_votes int64: Votes for these posts.
--   nforum_endorsed int64: Endorsed posts.
--   nforum_threads int64: Threads among these posts.
--   nforum_comments int64: Responses and comments among these posts.
--   nforum_pinned int64: Pinned threads.
--   roles string: `Staff` for a staff role, `Student` for the forum role of that name, else null.
--   nprogcheck int64: How often the progress page was opened.
--   nproblem_check int64: Problem checks.
--   nforum_events int64: Requests to the forum.
--   mode string: Enrollment mode, according to the package.
--   is_active int64: 1 if the person is still enrolled, else 0.
--   cert_created_date timestamp: When the certificate's row was made.
--   cert_modified_date timestamp: When the certificate's row last changed.
--   cert_status string: Status of the certificate.
--   verified_enroll_time timestamp: When the mode first became verified.
--   verified_unenroll_time timestamp: When the mode ceased to be verified; null while it still is.
--   profile_country string: Country in the profile.
--   y1_anomalous int64: 1 if the person has events, but no account in the package; or a
--     certificate, but no event after it; else null.
--   email_domain string: Domain of the e-mail address; null unless `with_email_domain` is set.
--   language string: Null, like everything about the languages of transcripts.
--   language_download string: Null.
--   language_nevents int64: Null.
--   language_ndiff int64: Null.
--   ntranscript int64: How often a transcript was shown or hidden.
--   nshow_answer int64: How often an answer was shown.
--   nvideo int64: Video actions.
--   nvideos_unique_viewed int64: Videos of which at least five seconds were seen.
--   nvideos_total_watched float64: Share watched of the videos that learners can see.
--   nseq_goto int64: How often a unit was chosen by its tab.
--   nseek_video int64: Jumps in videos.
--   npause_video int64: How often a video was paused.
--   avg_dt float64 [s]: Mean time between successive events, over gaps of at most five minutes.
--   sdv_dt float64 [s]: Standard deviation of these gaps.
--   max_dt float64 [s]: Longest of these gaps.
--   n_dt int64: Number of these gaps.
--   sum_dt float64 [s]: Sum of these gaps.
--   roles_isBetaTester int64: 1 for the course access role `beta_testers`, else 0; null without any
--     role.
--   roles_isInstructor int64: The same for `instructor`.
--   roles_isStaff int64: The same for `staff`.
--   roles_isCCX int64: The same for `ccx_coach`.
--   roles_isFinance int64: The same for `finance_admin`.
--   roles_isLibrary int64: The same for `library_user`.
--   roles_isSales int64: The same for `sales_admin`.
--   forumRoles_isAdmin int64: The same for the forum role `Administrator`.
--   forumRoles_isCommunityTA int64: The same for the forum role `Community TA`.
--   forumRoles_isModerator int64: The same for the forum role `Moderator`.
--   forumRoles_isStudent int64: The same for the forum role `Student`.
-- differs: registered viewed explored certified completed ever_mobile YoB grade first_event
--   last_event nevents ndays_act nchapters nforum_posts nforum_threads nforum_comments roles
--   nproblem_check nforum_events verified_enroll_time verified_unenroll_time y1_anomalous
--   email_domain ntranscript nvideo nvideos_unique_viewed nvideos_total_watched avg_dt sdv_dt
with
mobile as (
    select site, user_id, bool_or(is_mobile) as ever_mobile from person_course_day group by all
),
asked as (
    select site, user_id, count(*) as n_asked
    from learner_events
    where event_table = 'requests' and route = 'discussion'
    group by all
),
videos as (
    select distinct site, block_id
    from course_items
    where block_type = 'video' and index is not null and visible_to_staff_only is not true
),
video_total as (select site, count(*) as n_there from videos group by all),
watched as (
    select site, user_id, count(*) as n_watched
    from person_video
    semi join videos using (site, block_id)
    where unique_s >= 5
    group by all
),
people as (
    select
        *,
        coalesce(roles, forum_roles) is not null as has_role,
        coalesce(string_split(roles, ', '), []) as access,
        coalesce(string_split(forum_roles, ', '), []) as forum
    from person_course
)
select
    course_id, user_id, username, enrolled as registered,
    viewed, explored, certified, completed,
    null as ip, null as cc_by_ip, null as "countryLabel", null as continent, null as city,
    null as region, null as subdivision, null as "postalCode", null as un_major_region,
    null as un_economic_group, null as un_developing_nation, null as un_special_region,
    null as latitude, null as longitude,
    null as modal_agent,
    case when getvariable('has_events') then coalesce(ever_mobile, false)::bigint end
    as ever_mobile,
    null as ever_desktop,
    "LoE", "YoB", gender, grade, passing_grade,
    registered_at as start_time,
    first_event, last_event, n_all_events as nevents, n_days as ndays_act,
    n_play as nplay_video, n_chapters as nchapters,
    n_forum_posts as nforum_posts, n_votes_got as nforum_votes, n_endorsed as nforum_endorsed,
    n_threads as nforum_threads, n_responses + n_comments as nforum_comments,
    n_pinned as nforum_pinned,
    case when is_staff then 'Staff' when list_contains(forum, 'Student') then 'Student' end
    as roles,
    n_progress as nprogcheck, n_checks as nproblem_check,
    case when getvariable('has_requests') then coalesce(n_asked, 0) end as nforum_events,
    mode, is_active::bigint as is_active,
    cert_created as cert_created_date, cert_modified as cert_modified_date, cert_status,
    verified_at as verified_enroll_time, unverified_at as verified_unenroll_time,
    profile_country, nullif(is_anomalous::bigint, 0) as y1_anomalous, email_domain,
    null as language, null as language_download, null as language_nevents,
    null as language_ndiff,
    n_transcript as ntranscript, n_answers_shown as nshow_answer, n_video as nvideo,
    n_videos as nvideos_unique_viewed,
    case
        when getvariable('has_video_events') and n_there > 0
        then round(coalesce(n_watched, 0) / n_there::double, 12)
    end as nvideos_total_watched,
    n_goto as nseq_goto, n_seek as nseek_video, n_pause as npause_video,
    dt_mean as avg_dt, dt_sd as sdv_dt, dt_max as max_dt, dt_n as n_dt,
    round(dt_mean * dt_n, 6) as sum_dt,
    case when has_role then list_contains(access, 'beta_testers')::bigint end
    as "roles_isBetaTester",
    case when has_role then list_contains(access, 'instructor')::bigint end
    as "roles_isInstructor",
    case when has_role then list_contains(access, 'staff')::bigint end
    as "roles_isStaff",
    case when has_role then list_contains(access, 'ccx_coach')::bigint end
    as "roles_isCCX",
    case when has_role then list_contains(access, 'finance_admin')::bigint end
    as "roles_isFinance",
    case when has_role then list_contains(access, 'library_user')::bigint end
    as "roles_isLibrary",
    case when has_role then list_contains(access, 'sales_admin')::bigint end
    as "roles_isSales",
    case when has_role then list_contains(forum, 'Administrator')::bigint end
    as "forumRoles_isAdmin",
    case when has_role then list_contains(forum, 'Community TA')::bigint end
    as "forumRoles_isCommunityTA",
    case when has_role then list_contains(forum, 'Moderator')::bigint end
    as "forumRoles_isModerator",
    case when has_role then list_contains(forum, 'Student')::bigint end
    as "forumRoles_isStudent"
from people
left join mobile using (site, user_id)
left join asked using (site, user_id)
left join watched using (site, user_id)
left join video_total using (site)
