"""Names of people in a text: a given name next to another capitalized word, except in lists of authors."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

GIVEN = frozenset(
    """
    aaron abdul abigail abraham achim adele adelheid adrian agnes agnieszka ahmed ahmet aisha akira alan albert
    alberto alejandro aleksander aleksandra alessandro alexander alexandra alexandre alexis alfons alfred ali
    alice alicja alina aline alison alois amelia amelie amina amir amit ana anastasia andre andrea andreas andrew
    andrzej angela angelika anika anita anja anke ann anna anne annegret annelie annelies anneliese annemarie
    annette annika ansgar anthony antoine anton antonia antonio arjun armin arnold arthur astrid axel aylin ayse
    barbara bartosz beate beatrice beatrix benedikt benjamin berit bernd bernhard bert bertha berthold bettina
    betty bianca birgit birgitta birte bjorn boris brandon brenda brian bridget brigitte britta bruno burkhard
    camille carina carla carlos carmen carol carola carolin caroline carsten catherine cecilia celine chantal
    charles charlotte cheng chiara christa christel christina christine christoph christopher claire clara claudia
    claus clemens cornelia cristina daniel daniela danielle david debora deborah dennis detlef diana diego dieter
    dietmar dietrich dirk dmitri dmitry dolores dominik dominique donald dora doris dorothea dorothee dorothy
    dwayne eberhard eckhard edeltraud edgar edith eduard eduardo edward ekaterina elena eleonore elfriede elif
    elisa elisabeth elizabeth elke ella ellen elsa elsbeth emanuel emil emilia emilie emily emine emma emre enrico
    eric erich erik erika erna ernst erwin esra esther eugen eva evelyn fabian fabienne fatima fatma felicitas
    felix ferdinand fernando filip fiona frances francesca francesco francoise frank franz franziska frauke fred
    freddy frederic frederick frieda friederike friedhelm friedrich fritz gabriel gabriela gabriele gareth gary
    georg george georges gerald gerd gerda gerhard gerlinde gertraud gertrud gianluca giorgio giovanni gisela
    gitta giulia giuseppe goran gottfried graham gregor greta gudrun guido guillaume gunnar gunter gunther gustav
    hanna hannah hannelore hannes hans hansjorg harald harry hartmut hasan hassan hatice hedwig heidemarie heidi
    heike heiko heiner heinrich heinz helen helena helene helga helmut hendrik henning henri henriette henrik
    henry herbert hermann hertha hilde hildegard hiroshi holger horst hubert hugo hussein ian ibrahim ida igor
    ilona ilse imke ines inga inge ingeborg ingo ingrid irene irina irma irmgard isabel isabella isabelle ismail
    ivan iwona jacek jacob jacqueline jakob jakub james jamie jan jana jane janet janina janine jaroslav jasmin
    jason javier jeanette jeannette jeff jeffrey jennifer jens jerome jessica joachim joan joanna joao jochen joel
    joerg johan johann johanna johannes john jolanta jonas jonathan jorg jorge jose josef josefine joseph joshua
    juan judith juergen jule julian juliane julie juliette jurgen justin justine jutta kai karen karin karl karla
    karlheinz karsten kaspar katarina katarzyna katharina kathleen kathrin kathy katja katrin kazuki keith kemal
    kenji kenneth kerstin kevin kirsten klara klaus konrad konstantin krishna kristin kristina krzysztof kurt
    laetitia lars laszlo laura laurent leila lena leonard leonhard leonie lieselotte lilli lina linda lisa
    liselotte lorenz lothar louis louise luca lucas lucia lucie ludger ludwig luigi luis luisa luise lukas luke
    lutz lydia maciej madeleine magdalena mahmoud maike maja malgorzata malte mandy manfred manuel manuela marc
    marcel marcin marco marcus mareike margaret margarete margarethe margit margot margret maria mariam mariana
    marianne marie marina mario marion marius marjorie markus marlene marlies marta martha martin martina mary
    maryam massimo mathias mathilde matteo matthew matthias matthieu maureen maurice maximilian mechthild mehmet
    meike melanie melissa mercedes meryem michael michaela michal michel michele michelle miguel mikhail milan
    milena miriam mirjam mohamed mohammad mohammed monica monika moritz muhammad murat mustafa nadia nadine nadja
    nancy naomi natalia natalie natascha nathalie nicholas nick nicola nicolas nicole niels nikolai nikolaus nils
    nina nora norbert norman olaf oleg olga oliver olivia olivier omar oskar osman ottilie otto ozlem pablo pamela
    paola paolo pascal patricia patricio patrick paul paula pauline pawel pedro peter petra philip philipp
    philippe pierre piotr priya rachel rafael ragnhild rahul raimund rainer rajesh ralf ralph ramona raphael
    rebecca regina regine reiner reinhard reinhold renata renate rene ricardo richard rita robert roberta roberto
    roger roland rolf romy ronald rosa rosalie rosemarie roswitha rudi rudiger rudolf ruediger rupert ruth ryan
    sabine sabrina salma salvatore samantha samir samuel sandra sandro sanjay sara sarah sascha sean sebastian
    selina selma sergei sergio sharon sibylle siegfried sieglinde siegrid sigrid silke silvia simone sina slawomir
    sofia sofie solveig sonja sophia sophie stanislaw stefan stefanie stephan stephanie stephen steven suresh
    susan susana susann susanna susanne svantje sven svenja svetlana swantje sylvia sylvie tamara tanja tatjana
    teresa thea theodor theresa therese thomas thorben thorsten tilman tim timothy tina tobias tomasz torben
    torsten traute tristan udo ulf ulla ulrich ulrike ursel ursula uschi ute uwe valentin valentina valerie
    vanessa vera verena veronica veronika vijay viktor vincent vladimir volker volkmar walburga waldemar walter
    waltraud wanda wenzel werner wilfried wilhelm willi willy wolfgang wolfram xaver yasemin yasmin yuki yusuf
    yvette yvonne zeynep zofia zsofia
    """.split()  # noqa: SIM905
)
SURNAMES = frozenset(
    """
    ahmed bauer baumann becker berger bergmann bianchi brandt braun brown chen cohen davis demir doe duran evans
    fernandez fischer fuchs garcia gonzalez gupta hahn hansen hartmann hernandez hoffmann hofmann huber ivanov
    jackson jansen jensen johnson jones kaiser kaya keller khan klein koch koehler kohler kowalski kraus krause
    krueger kruger kumar kumari lang lange lefebvre lehmann lopez maier martinez mayer meier mertens meyer miller
    mueller muller mustermann nguyen nielsen nowak patel perez peters petrov richter rodriguez rossi sanchez sato
    schaefer schafer schmid schmidt schmitt schmitz schneider scholz schroder schroeder schubert schulte schultz
    schulz schulze schuster schwarz schwarzer sharma singh smith suzuki tanaka taylor thompson vogel wagner
    walther wang weber weiss werner white wilson winkler winter wisniewski wolff wood yildirim yildiz yilmaz
    ziegler zimmermann
    """.split()  # noqa: SIM905
)
_FREQUENT = frozenset("choi huang kim lee liu park pham tran xu yang zhang zhao zhou".split())  # noqa: SIM905
"""Surnames that are common among authors: searched for only in statements about a person."""
_NO_SURNAMES = frozenset(
    """
    atlas curie data dataset filter genesis hopper hospital hounsfield index institute lovelace map method model
    net network prize process score set space statistic street test transform turing unet university zay
    """.split()  # noqa: SIM905
)
_WORD = r"[^\W\d_][\w'’-]*[^\W\d_]"
_BESIDE = re.compile(rf"(?=(?<![\w.@/-])({_WORD})(, ?|[ _.])({_WORD}))")
_AUTHORS = re.compile(
    r"\bet al\b|arxiv|\bdoi\b|\bproc(?:eedings|\.)|\bjournal\b|\bpreprint\b|\bIEEE\b|MICCAI|CVPR|NeurIPS|\bpp\.|\bvol\."
    r"|(?:\(|[,.] )(?:19|20)\d\d[a-z]?[).,]|@article|@inproceedings|\bauthors?\b|copyright|©|\bthanks?\b|acknowledg",
    re.IGNORECASE,
)
_SHOWN = re.compile(
    r"(?:\b[Pp]atient(?:in)?:?|\b[Pp]roband(?:in)?:?|\b(?:[Ss]cans?|[Ii]mages?|[Ss]tudy|MRI|CT|[Cc]ase) of"
    r"|\bDr\.(?: med\.)?) ([A-ZÄÖÜ][^\W\d_]+)(?: ([A-ZÄÖÜ][^\W\d_]+))?"
)
"""Statements about a person."""
_PLACE = re.compile(
    r"\W*(?:[\w'-]+\W+){0,2}(?:Universit|Institut|Hospital|Klinik|Clinic|Foundation|Cent(?:er|re)|School|College|Prize|Society)"
)
_BY = re.compile(
    r"(?:\bby|\bcontact|\bmaintain\w*|\bdeveloped|\bnamed after|\bcreated|\bwritten)\b[^.;]{0,40}$", re.IGNORECASE
)


def names_in(text: str) -> Iterator[str]:
    """Yield everything that looks like a person's name in a line of *text*, except authors of papers and models."""
    if _AUTHORS.search(text):
        return
    for found in _SHOWN.finditer(text):
        first, second = found[1], found[2] or ""
        if {plain(first), plain(second)} & (GIVEN | SURNAMES | _FREQUENT):
            yield found.group()
    for found in _BESIDE.finditer(text):
        first, between, second = found.groups()
        place = _PLACE.match(text, found.end(3))
        if is_name(first, between, second) and not place and not _BY.search(text[: found.start()]):
            yield f"{first}{between}{second}"


def is_name(first: str, between: str, second: str) -> bool:
    """Whether two words are a given name and a surname, in either order."""
    one, two = plain(first), plain(second)
    given = _is_given(one), _is_given(two)
    if first.islower() or second.islower():
        return (given[0] and two in SURNAMES) or (given[1] and one in SURNAMES)
    if not (first[0].isupper() and second[0].isupper()) or {one, two} & _NO_SURNAMES:
        return False
    if given[0] and (second[1:].islower() or "-" in second or two in SURNAMES):
        return True
    return given[1] and (one in SURNAMES or between.startswith((",", "_")))


def _is_given(word: str) -> bool:
    """Whether *word*, in plain form, is a given name, or several joined by hyphens."""
    return all(part in GIVEN for part in word.split("-"))


def names_in_label(name: str) -> Iterator[str]:
    """Yield the parts of a short *name*, such as that of a data set, that are names of people."""
    parts = [part for part in re.split(r"[\W\d_]+", re.sub(r"(?<=[a-zäöüß])(?=[A-ZÄÖÜ])", " ", name)) if len(part) > 2]
    for part in parts:
        if plain(part) in SURNAMES or (plain(part) in GIVEN and len(parts) > 1):
            yield part


def plain(word: str) -> str:
    """*word* in lower case and without accents."""
    bare = unicodedata.normalize("NFKD", word.lower().replace("ß", "ss").replace("ı", "i").replace("ł", "l"))
    return "".join(letter for letter in bare if not unicodedata.combining(letter))
