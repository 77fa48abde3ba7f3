"""What names of members say."""

from __future__ import annotations

import pytest

from edxlogs.edx.members import describe_member, describe_members
from edxlogs.edx.tables import tables

CASES = [
    # name, table, stem, site
    ("U-C-R-auth_user-prod-analytics.sql.gpg", "auth_user", "U-C-R", "prod"),
    ("u-2014-10-05/U-C-R-auth_user-edge-analytics.sql.gpg", "auth_user", "U-C-R", "edge"),
    ("U-C-R-auth_user-prod-edge-analytics.sql", "auth_user", "U-C-R", "edge"),
    ("U-C-R-auth_user-acceptance.sql", "auth_user", "U-C-R", "acceptance"),
    ("U-C-R_2-teams-prod-analytics.sql.gpg", "teams_courseteam", "U-C-R_2", "prod"),
    ("U-C-R-teams_membership-prod-analytics.sql", "teams_courseteammembership", "U-C-R", "prod"),
    ("U-teams-R-auth_user-prod-analytics.sql", "auth_user", "U-teams-R", "prod"),
    ("U-C-R-ccx-7-user_id_map-prod-analytics.sql", "user_id_map", "U-C-R-ccx-7", "prod"),
    ("x/ora/U-C-R-submissions_score-prod-analytics.sql.gpg", "submissions_score", "U-C-R", "prod"),
    ("U-C-R-course_structure-prod-analytics.json.gpg", "course_structure", "U-C-R", "prod"),
    ("U-course-R-course-prod-analytics.xml.tar.gz.gpg", "course", "U-course-R", "prod"),
    ("U-C-R-prod.mongo.gpg", "forum", "U-C-R", "prod"),
    ("U-C-R-edge.mongo", "forum", "U-C-R", "edge"),
    ("U-C-R-prod-edge.mongo", "forum", "U-C-R", "edge"),
    ("U-C-R.mongo.gpg", "forum", "U-C-R", "prod"),
    ("U-email_opt_in-prod-analytics.csv.gpg", "email_opt_in", "U", "prod"),
    ("email-opt-in-u-2018-01-01.csv.gpg", "email_opt_in", None, "prod"),
    ("u_c_r_1_auth_user_prod_analytics.sql", "auth_user", "u_c_r_1", "prod"),
    ("U-C-R-auth_userprofile-" + "0" * 32 + ".sql.gpg", "auth_userprofile", "U-C-R", None),
    ("U-C-R-auth_user_more-prod-analytics.sql.gpg", None, None, None),
    ("notes.txt", None, None, None),
]


@pytest.mark.parametrize(("name", "table", "stem", "site"), CASES)
def test_name(name: str, table: str | None, stem: str | None, site: str | None) -> None:
    said = describe_member(name)
    assert (said.table and said.table.name, said.stem, said.site) == (table, stem, site)
    assert not said.failed


def test_the_site_of_a_forum_is_told_by_the_files_beside_it() -> None:
    names = ["x/A-B-C-stage.mongo", "x/A-B-C-auth_user-stage-analytics.sql", "A-B-C-D.mongo.gpg"]
    names += ["A-B-C-D-auth_user-prod.sql", "A-B-C-stage-edge.mongo", "A-B-stage.mongo"]
    said = [(one.table and one.table.name, one.stem, one.site) for one in describe_members(names)]
    assert said == [
        ("forum", "A-B-C", "stage"),
        ("auth_user", "A-B-C", "stage"),
        ("forum", "A-B-C-D", "prod"),
        ("auth_user", "A-B-C-D", "prod"),
        ("forum", "A-B-C-stage", "edge"),
        ("forum", "A-B-stage", "prod"),
    ]


@pytest.mark.parametrize(
    ("name", "stem", "site"),
    [
        ("U.x-C-R_1-stage.mongo", "U.x-C-R_1", "stage"),
        ("U.x-C-R_1-edge.mongo", "U.x-C-R_1", "edge"),
        ("U.x-C-R_1.mongo", "U.x-C-R_1", "prod"),
        ("U.x-C-R_1-2.mongo", "U.x-C-R_1-2", "prod"),
        ("U.x-C-R_2-stage.mongo", "U.x-C-R_2-stage", "prod"),
    ],
)
def test_the_site_of_a_forum_is_told_by_a_package_of_one_course(
    name: str, stem: str, site: str
) -> None:
    said = describe_member(f"state/2015-11-13/{name}", "U.x_C_R_1")
    assert (said.stem, said.site) == (stem, site)


def test_a_failed_export_is_told_apart() -> None:
    said = describe_member("x/U-C-R-teams-prod-analytics.sql.failed.gpg")
    assert said.failed
    assert said.table is tables()["teams_courseteam"]


def test_every_table_is_found_by_each_of_its_names() -> None:
    for table in tables().values():
        for name in table.file_names:
            said = describe_member(f"U-C-R-{name}-prod-analytics{table.extension}.gpg")
            assert said.table is table
    assert len(tables()) == 45
