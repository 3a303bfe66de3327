"""What the console says in Polish."""

from collections.abc import Mapping

POLISH: Mapping[str, str] = {
    "product": "Hearback",
    "skip": "Przejdź do treści",
    "bar": "Strony",
    "sign_out": "Wyloguj",
    "role_admin": "administrator",
    "role_manager": "kierownik",
    "role_keyer": "wprowadzanie kart",
    "login_title": "Logowanie",
    "login_name": "Nazwa",
    "login_password": "Hasło",
    "login_send": "Zaloguj",
    "login_wrong": "Nazwa i hasło nie pasują do siebie albo konto jest zablokowane. Spróbuj jeszcze raz albo poproś "
    "administratora o nowe hasło: hearback users password NAZWA",
    "setup_title": "Nikt nie może się jeszcze zalogować",
    "setup_text": "Utwórz pierwsze konto na komputerze, na którym działa Hearback, w jego środowisku. Polecenie zapyta "
    "o hasło:",
    "setup_again": "Potem odśwież tę stronę.",
    "password_title": "Wybierz hasło",
    "password_one_time": "Twoje hasło służyło tylko ten jeden raz. Wybierz własne.",
    "password_now": "Dotychczasowe hasło",
    "password_new": "Nowe hasło",
    "password_hint": "Od 12 do 200 znaków; dobre są dwa lub trzy niezwiązane ze sobą słowa.",
    "password_send": "Zapisz hasło",
    "password_wrong": "Dotychczasowe hasło się nie zgadza.",
    "password_unfit": "To hasło się nie nadaje: ma mniej niż 12 albo więcej niż 200 znaków, albo zawiera Twoją nazwę.",
    "overview_title": "Przegląd",
    "intake_title": "Napływ",
    "error_400_title": "To się nie udało",
    "error_400_text": "Formularz był niepełny albo strona była otwarta zbyt długo. Wróć, odśwież ją i wyślij jeszcze "
    "raz.",
    "error_403_title": "Ta strona nie jest dla Twojej roli",
    "error_403_text": "Jeśli jest Ci potrzebna, poproś administratora o inną rolę.",
    "error_404_title": "Tutaj nic nie ma",
    "error_404_text": "Adres może być błędny albo tego, do czego prowadził, już nie ma.",
    "error_405_title": "Ten adres przyjmuje tylko formularze",
    "error_405_text": "Wróć na stronę z formularzem i wyślij go stamtąd.",
    "error_413_title": "To było za dużo",
    "error_413_text": "Wróć i wyślij mniej naraz.",
    "error_429_title": "Chwileczkę",
    "error_429_text": "Było zbyt wiele prób logowania. Odczekaj minutę i spróbuj ponownie.",
}
