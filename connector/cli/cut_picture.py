"""A proposed cut as a picture: who has how much before and after, and the areas along the number line of codes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from xml.etree import ElementTree as ET

from connector.routing.areas import Area, Destination, Run
from connector.routing.balancing import Balance, Proposal

#: Eight colours that people with any usual colour vision tell apart (Okabe and Ito, 2008), black and its text apart.
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#BBBBBB")
#: Of these only the dark ones need white text.
DARK = ("#0072B2", "#D55E00", "#009E73")

WIDTH, MARGIN, LABELS, ROW, BAR = 960, 24, 230, 44, 15
#: Height of a strip, width a letter needs, width from which areas stand apart.
STRIP, LETTER, NARROW = 36, 9, 4
FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True, slots=True)
class Look:
    """How a destination is shown: its letter says what the colour says."""

    letter: str
    colour: str

    @property
    def ink(self) -> str:
        """Return a colour of text that can be read upon it."""
        return "#fff" if self.colour in DARK else "#000"


def draw(proposal: Proposal) -> str:
    """Return the picture as an SVG document."""
    return _Picture(proposal).draw()


class _Picture:
    """A drawing in the making, from top to bottom."""

    def __init__(self, proposal: Proposal) -> None:
        self._proposal = proposal
        self._looks = _looks([each.destination for each in proposal.balances])
        self._now = [area.destination for area in proposal.areas]
        self._scale = max(max(each.wanted, each.before, each.after) for each in proposal.balances)
        self._height = 88 + ROW * len(proposal.balances) + 206
        self._svg = ET.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {WIDTH} {self._height}",
                "role": "img",
                "aria-labelledby": "title about",
                "font-family": FONT,
                "font-size": "13",
            },
        )

    def draw(self) -> str:
        self._head()
        top = 88.0
        for each in self._proposal.balances:
            self._bars(each, top)
            top += ROW
        self._strip("Areas now", self._now, top + 34)
        self._strip("Areas then", list(self._proposal.owners), top + 104)
        self._ruler(top + 168)
        self._text(
            MARGIN, self._height - 14, "Outlined: areas that move. Grey: codes that no rule of this cut takes.", size=12
        )
        ET.indent(self._svg)
        return ET.tostring(self._svg, encoding="unicode") + "\n"

    def _head(self) -> None:
        proposal = self._proposal
        before, after = proposal.deviation
        title = f"Postal areas of {proposal.cut.country}, before and after"
        about = (
            f"{proposal.leads} leads. Largest deviation from a fair share: {before:.0%} now, {after:.0%} then; "
            f"{len(proposal.moves)} of {len(proposal.areas)} areas move."
        )
        ET.SubElement(self._svg, "title", {"id": "title"}).text = title
        ET.SubElement(self._svg, "desc", {"id": "about"}).text = about
        self._rect(0, 0, WIDTH, self._height, fill="#fff")
        self._text(MARGIN, 34, title, size=18, weight="bold")
        self._text(MARGIN, 56, about)
        self._text(
            LABELS,
            78,
            "Work: upper bar now, lower bar then, what moves outlined; the line is the fair share.",
            size=12,
        )

    def _bars(self, each: Balance, top: float) -> None:
        look = self._looks[each.destination]
        self._text(MARGIN, top + 14, f"{look.letter}  {each.destination}", weight="bold")
        self._text(MARGIN, top + 30, f"fair {each.wanted:.1%}, now {each.before:.1%}, then {each.after:.1%}", size=11)
        self._stack(self._now, each.destination, top + 2)
        self._stack(self._proposal.owners, each.destination, top + 2 + BAR + 2)
        x = LABELS + self._wide(each.wanted)
        line = {"x1": x, "x2": x, "y1": top - 2, "y2": top + 2 * BAR + 8, "stroke": "#000", "stroke-width": 2}
        self._element("line", line)

    def _stack(self, owners: Sequence[Destination], owner: Destination, top: float) -> None:
        """Draw one bar: what the owner keeps, area by area, then what they gain, outlined."""
        total = sum(area.work for area in self._proposal.areas)
        own = [area for area, each in zip(self._proposal.areas, owners, strict=True) if each == owner]
        x = gained = float(LABELS)
        for area in sorted(own, key=lambda area: area.destination != owner):
            width = self._wide(area.work / total)
            self._area(area, owner, (x, top, width, BAR))
            x += width
            gained += width if area.destination == owner else 0
        if x > gained:
            self._rect(gained, top, x - gained, BAR, fill="none", stroke="#000")

    def _wide(self, part: float) -> float:
        return (WIDTH - MARGIN - LABELS) * part / self._scale

    def _strip(self, name: str, owners: Sequence[Destination], top: float) -> None:
        """Draw the number line: every code in the colour of its owner, grey where no rule of this cut takes it."""
        self._text(MARGIN, top - 6, name, weight="bold")
        self._rect(MARGIN, top, WIDTH - 2 * MARGIN, STRIP, fill="#eee")
        for area, owner in zip(self._proposal.areas, owners, strict=True):
            for first, last in area.runs:
                self._area(area, owner, (self._place(first), top, self._place(last + 1) - self._place(first), STRIP))
        areas = self._proposal.areas
        moved = [(area, owner) for area, owner in zip(areas, owners, strict=True) if area.destination != owner]
        for _, (first, last) in _stretches(moved):
            width = self._place(last + 1) - self._place(first)
            self._rect(self._place(first), top, width, STRIP, fill="none", stroke="#000")
        self._letters(owners, top + 23)

    def _letters(self, owners: Sequence[Destination], top: float) -> None:
        """Write each owner's letter onto their stretches of the strip, where there is room."""
        for owner, (first, last) in _stretches(list(zip(self._proposal.areas, owners, strict=True))):
            look = self._looks[owner]
            if self._place(last + 1) - self._place(first) >= LETTER * len(look.letter):
                middle = (self._place(first) + self._place(last + 1)) / 2
                self._text(middle, top, look.letter, fill=look.ink, anchor="middle", weight="bold")

    def _place(self, code: int) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * code / float(10**self._proposal.cut.width)

    def _ruler(self, top: float) -> None:
        width = self._proposal.cut.width
        for tenth in range(10):
            code = tenth * 10 ** (width - 1)
            at = {"x1": self._place(code), "x2": self._place(code), "y1": top - 26, "y2": top - 20, "stroke": "#000"}
            self._element("line", at)
            self._text(self._place(code), top - 6, f"{code:0{width}}", size=11)

    def _area(self, area: Area, owner: Destination, box: tuple[float, float, float, float]) -> None:
        x, y, width, height = box
        stroke = "#fff" if width >= NARROW else "none"
        drawn = self._rect(x, y, width, height, fill=self._looks[owner].colour, stroke=stroke)
        told = f"{area.cell}: {owner}, {area.leads} leads"
        ET.SubElement(drawn, "title").text = told + (f", from {area.destination}" if owner != area.destination else "")

    def _rect(self, x: float, y: float, width: float, height: float, *, fill: str, stroke: str = "none") -> ET.Element:
        thick = 1.5 if stroke == "#000" else 0.3
        box = {"x": x, "y": y, "width": width, "height": height, "fill": fill, "stroke": stroke, "stroke-width": thick}
        return self._element("rect", box)

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: int = 13,
        weight: str = "normal",
        fill: str = "#000",
        anchor: str = "start",
    ) -> None:
        look = {"font-size": size, "font-weight": weight, "fill": fill, "text-anchor": anchor}
        self._element("text", {"x": x, "y": y, **look}).text = text

    def _element(self, tag: str, attributes: Mapping[str, object]) -> ET.Element:
        texts = {name: f"{value:.2f}" if isinstance(value, float) else str(value) for name, value in attributes.items()}
        return ET.SubElement(self._svg, tag, texts)


def _looks(destinations: Sequence[Destination]) -> dict[Destination, Look]:
    found = {}
    for number, each in enumerate(destinations):
        round_, place = divmod(number, len(ascii_uppercase))
        letter = ascii_uppercase[place] + (str(round_ + 1) if round_ else "")
        found[each] = Look(letter, COLOURS[number % len(COLOURS)])
    return found


def _stretches(held: Sequence[tuple[Area, Destination]]) -> Iterator[tuple[Destination, Run]]:
    """Yield owners with the first and last code of their unbroken stretches."""
    found: list[tuple[Destination, Run]] = []
    for (low, high), owner in sorted((run, owner) for area, owner in held for run in area.runs):
        if found and found[-1][0] == owner and found[-1][1][1] == low - 1:
            found[-1] = owner, (found[-1][1][0], high)
        else:
            found.append((owner, (low, high)))
    yield from found
