"""ACES and PIES files for tests, as senders write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"

ACES_HEADER = (
    "<Header><Company>Ironridge</Company><SenderName>Desk</SenderName><SenderPhone>1</SenderPhone>"
    "<TransferDate>2026-09-01</TransferDate><BrandAAIAID>BKLR</BrandAAIAID><DocumentTitle>Rotors</DocumentTitle>"
    "<EffectiveDate>2026-09-01</EffectiveDate><SubmissionType>FULL</SubmissionType>"
    "<VcdbVersionDate>2026-08-28</VcdbVersionDate><QdbVersionDate>2026-08-28</QdbVersionDate>"
    "<PcdbVersionDate>2026-08-28</PcdbVersionDate></Header>"
)
PIES_HEADER = (
    "<Header><PIESVersion>7.2</PIESVersion><SubmissionType>FULL</SubmissionType>"
    "<BlanketEffectiveDate>2026-09-01</BlanketEffectiveDate><CurrencyCode>USD</CurrencyCode>"
    "<LanguageCode>EN</LanguageCode><TechnicalContact>Desk</TechnicalContact>"
    "<ContactEmail>desk@example.test</ContactEmail><PCdbVersionDate>2026-08-28</PCdbVersionDate></Header>"
)
VEHICLE = '<BaseVehicle id="5911"/>'
PART = "<Part>BRK-1</Part>"


def app(vehicle: str = VEHICLE, rest: str = "", part: str = PART, **attributes: str) -> str:
    """An App that can be taken; what is given replaces or is added."""
    told = {"action": "A", "id": "1"} | attributes
    opening = " ".join(f'{name}="{value}"' for name, value in told.items())
    return f'<App {opening}>{vehicle}{rest}<Qty>1</Qty><PartType id="1896"/>{part}</App>'


def aces(
    *apps: str, header: str = ACES_HEADER, count: object = None, version: str = "4.2", root: str = "ACES", end: str = ""
) -> bytes:
    """A file, the root in line 1, the header in line 2, the Apps from line 3, one a line."""
    footer = f"<Footer><RecordCount>{len(apps) if count is None else count}</RecordCount></Footer>"
    lines = [f'<{root} version="{version}">', header, *apps, footer, f"</{root.split()[0]}>"]
    return "\n".join(line for line in lines if line).encode() + end.encode()


def item(content: str = "", number: str = "BRK-1", brand: str = "BKLR", maintenance: str = "A") -> str:
    return (
        f'<Item MaintenanceType="{maintenance}"><PartNumber>{number}</PartNumber>'
        f"<BrandAAIAID>{brand}</BrandAAIAID>{content}</Item>"
    )


def pies(*items: str, header: str = PIES_HEADER, before: str = "", count: object = None, root: str = "") -> bytes:
    """A file, the root in line 1, the header in line 2, the Items from line 4, one a line."""
    told = len(items) if count is None else count
    trailer = f"<Trailer><ItemCount>{told}</ItemCount><TransactionDate>2026-09-01</TransactionDate></Trailer>"
    root = root or '<PIES xmlns="http://www.autocare.org">'
    lines = [root, header, f"{before}<Items>", *items, "</Items>", trailer, "</PIES>"]
    return "\n".join(line for line in lines if line).encode()


def large_aces(bytes_min: int) -> Iterator[bytes]:
    """The pieces of a valid file of at least so many bytes, each App another."""
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<ACES version="4.2">\n' + ACES_HEADER.encode() + b"\n"
    written = number = 0
    while written < bytes_min:
        number += 1
        piece = (
            f'<App action="A" id="{number}"><BaseVehicle id="{5000 + number % 3000}"/><SubModel id="{number % 40 + 1}"/>'
            f'<EngineBase id="{number % 500 + 1}"/><Qual id="12073"><param value="1.{number % 100}" uom="in"/>'
            f"<text>with 1.75in Driveshaft Diameter</text></Qual><Note>{number}mm front rotor</Note>"
            f'<Qty>{number % 3 + 1}</Qty><PartType id="1896"/><MfrLabel>Performance Rotor</MfrLabel>'
            f'<Position id="22"/><Part>BRK-{number % 9000}</Part></App>\n'
        ).encode()
        written += len(piece)
        yield piece
    yield f"<Footer><RecordCount>{number}</RecordCount></Footer></ACES>".encode()


def write(path: Path, content: bytes | Iterable[bytes]) -> Path:
    with path.open("wb") as handle:
        for piece in [content] if isinstance(content, bytes) else content:
            handle.write(piece)
    return path
