"""What the console says in English."""

from collections.abc import Mapping

ENGLISH: Mapping[str, str] = {
    "product": "Hearback",
    "skip": "Skip to the content",
    "bar": "Pages",
    "sign_out": "Sign out",
    "role_admin": "admin",
    "role_manager": "manager",
    "role_keyer": "keyer",
    "login_title": "Sign in",
    "login_name": "Name",
    "login_password": "Password",
    "login_send": "Sign in",
    "login_wrong": "Name and password do not fit together, or the account is locked. Try again, or ask an admin for "
    "a new password: hearback users password NAME",
    "setup_title": "Nobody can sign in yet",
    "setup_text": "Make the first account on the machine that runs Hearback, in its environment. The command asks for "
    "a password:",
    "setup_again": "Then reload this page.",
    "password_title": "Choose a password",
    "password_one_time": "Your password served for this once. Choose one of your own.",
    "password_now": "Password until now",
    "password_new": "New password",
    "password_hint": "12 to 200 characters; a few unrelated words are good.",
    "password_send": "Save password",
    "password_wrong": "The password until now is not right.",
    "password_unfit": "This password will not do: it has fewer than 12 or more than 200 characters, or holds your "
    "name.",
    "overview_title": "Overview",
    "intake_title": "Intake",
    "error_400_title": "This could not be done",
    "error_400_text": "The form was incomplete, or the page was open for too long. Go back, reload it and send it "
    "again.",
    "error_403_title": "This page is not for your role",
    "error_403_text": "If you need it, ask an admin for another role.",
    "error_404_title": "There is nothing here",
    "error_404_text": "The address may be mistyped, or what it led to is gone.",
    "error_405_title": "This address takes forms only",
    "error_405_text": "Go back to the page with the form and send it from there.",
    "error_413_title": "That was too much",
    "error_413_text": "Go back and send less at once.",
    "error_429_title": "One moment, please",
    "error_429_text": "There were too many attempts to sign in. Wait a minute and try again.",
}
