"""What the console says in German."""

from collections.abc import Mapping

GERMAN: Mapping[str, str] = {
    "product": "Hearback",
    "skip": "Zum Inhalt springen",
    "bar": "Seiten",
    "sign_out": "Abmelden",
    "role_admin": "Admin",
    "role_manager": "Leitung",
    "role_keyer": "Erfassung",
    "login_title": "Anmelden",
    "login_name": "Name",
    "login_password": "Passwort",
    "login_send": "Anmelden",
    "login_wrong": "Name und Passwort passen nicht zusammen, oder das Konto ist gesperrt. Versuchen Sie es noch "
    "einmal, oder bitten Sie einen Admin um ein neues Passwort: hearback users password NAME",
    "setup_title": "Noch kann sich niemand anmelden",
    "setup_text": "Legen Sie das erste Konto auf dem Rechner an, auf dem Hearback läuft, in dessen Umgebung. Der "
    "Befehl fragt nach einem Passwort:",
    "setup_again": "Laden Sie dann diese Seite neu.",
    "password_title": "Passwort wählen",
    "password_one_time": "Ihr Passwort galt für dieses eine Mal. Wählen Sie ein eigenes.",
    "password_now": "Bisheriges Passwort",
    "password_new": "Neues Passwort",
    "password_hint": "12 bis 200 Zeichen; ein paar Wörter ohne Zusammenhang sind gut.",
    "password_send": "Passwort speichern",
    "password_wrong": "Das bisherige Passwort stimmt nicht.",
    "password_unfit": "Dieses Passwort geht nicht: Es hat weniger als 12 oder mehr als 200 Zeichen, oder Ihr Name "
    "steht darin.",
    "overview_title": "Überblick",
    "intake_title": "Eingang",
    "error_400_title": "Das ging nicht",
    "error_400_text": "Das Formular war unvollständig, oder die Seite war zu lange offen. Gehen Sie zurück, laden Sie "
    "sie neu und senden Sie es noch einmal.",
    "error_403_title": "Diese Seite ist nicht für Ihre Rolle",
    "error_403_text": "Wenn Sie sie brauchen, bitten Sie einen Admin um eine andere Rolle.",
    "error_404_title": "Hier ist nichts",
    "error_404_text": "Die Adresse ist vielleicht vertippt, oder das Ziel gibt es nicht mehr.",
    "error_405_title": "Diese Adresse nimmt nur Formulare an",
    "error_405_text": "Gehen Sie zur Seite mit dem Formular zurück und senden Sie es von dort.",
    "error_413_title": "Das war zu viel",
    "error_413_text": "Gehen Sie zurück und senden Sie weniger auf einmal.",
    "error_429_title": "Einen Augenblick bitte",
    "error_429_text": "Es gab zu viele Versuche, sich anzumelden. Warten Sie eine Minute und versuchen Sie es dann.",
}
