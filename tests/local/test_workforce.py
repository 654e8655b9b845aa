"""Every user of a private workforce's pool is found, however many pages ListUsers has."""

from sextant.labeling.users import pool_users

PASSWORD = "Correct-horse-battery-1"


def test_users_beyond_the_first_page_have_their_names(embedded):
    cognito = embedded.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="more-than-a-page")["UserPool"]["Id"]
    subs = {}
    for number in range(72):
        name, email = f"worker-{number:02d}", f"w{number}@example.com"
        user = cognito.admin_create_user(
            UserPoolId=pool,
            Username=name,
            UserAttributes=[{"Name": "email", "Value": email}],
            TemporaryPassword=PASSWORD,
            MessageAction="SUPPRESS",
        )["User"]
        (sub,) = [each["Value"] for each in user["Attributes"] if each["Name"] == "sub"]
        subs[sub] = (name, email)
    assert len(cognito.list_users(UserPoolId=pool)["Users"]) == 60

    assert {sub: (name, email) for sub, name, email in pool_users(pool)} == subs


def test_no_pool_has_no_users():
    assert pool_users("") == []
