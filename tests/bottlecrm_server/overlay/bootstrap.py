"""Make an organisation and its people; print who they are and what they sign in with.

Standard input: {"org": NAME, "timezone": ZONE, "people": [{"email", "name", "role", "active"}]}.
Standard output: {"org": ID, "people": {EMAIL: {"profile", "token", "jwt"}}}.
"""

import json
import sys

import django

django.setup()

from common.models import Org, PersonalAccessToken, Profile, User  # noqa: E402 - Django must be set up first
from common.serializer import OrgAwareRefreshToken  # noqa: E402
from common.tasks import set_rls_context  # noqa: E402


def main() -> None:
    wanted = json.load(sys.stdin)
    org, _ = Org.objects.get_or_create(name=wanted["org"], defaults={"timezone": wanted["timezone"]})
    set_rls_context(str(org.id))
    people = {each["email"]: person(org, each) for each in wanted["people"]}
    json.dump({"org": str(org.id), "people": people}, sys.stdout)


def person(org: Org, each: dict) -> dict[str, str]:
    user = User.objects.filter(email=each["email"]).first()
    if user is None:
        user = User.objects.create_user(email=each["email"], password=None)
    user.name = each["name"]
    user.is_active = True
    user.save()
    profile, _ = Profile.objects.get_or_create(user=user, org=org, defaults={"role": each["role"]})
    profile.role, profile.is_active, profile.has_sales_access = each["role"], each["active"], True
    profile.save()
    token, _ = PersonalAccessToken.generate(profile, "test", scopes=each.get("scopes"))
    jwt = OrgAwareRefreshToken.for_user_and_org(user, org, profile).access_token
    return {"profile": str(profile.id), "token": token, "jwt": str(jwt)}


main()
