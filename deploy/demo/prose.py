"""What the demo's users ask and what they are answered: small scenes of everyday use, in a dozen languages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A use of a model: its prompt's name, its system prompt, and a conversation in order."""

    name: str
    system: str
    exchanges: tuple[Exchange, ...]


def _scene(name: str, system: str, *pairs: tuple[str, str]) -> Scene:
    return Scene(name, system, tuple(Exchange(question, answer) for question, answer in pairs))


SCENES = (
    _scene(
        "support-triage",
        "You sort customer mails of a furniture shop. Answer with a department and one sentence why.",
        (
            "The shelf arrived with three screws missing and the back panel is scratched. Order 48213.",
            "Spare parts. Screws are missing and one panel has to be replaced, the order itself is complete.",
        ),
        (
            "And who looks at the invoice? I was charged for express delivery, but it took nine days.",
            "Billing. The express surcharge is due only when the promised date was kept, so it has to be refunded.",
        ),
        (
            "Thanks. Please write a short reply that covers both.",
            "Dear customer, we are sorry for the trouble. The missing screws and a new back panel leave our warehouse"
            " tomorrow; the express surcharge of 19.90 is on its way back to your account. You do not need to return"
            " anything. Kind regards, your support team",
        ),
    ),
    _scene(
        "code-review",
        "You review pull requests. Be brief, name the line, say what could break.",
        (
            "def mean(xs):\n    return sum(xs) / len(xs)\n\nIs this fine for our metrics job?",
            "Line 2 raises ZeroDivisionError for an empty list, which the metrics job sends at midnight. Decide what"
            " the mean of nothing is: return None and let the caller skip it, or raise ValueError with the metric's"
            " name. Also note that sum() of many floats loses precision; math.fsum keeps it.",
        ),
        (
            "We return None now. Does anything else come to mind?",
            "Two callers compare the result with `<`; with None they raise TypeError. Add a test for each of them.",
        ),
    ),
    _scene(
        "sql-helper",
        "You turn questions into SQL for the tables orders(id, customer, placed_at, total) and customers(id, country).",
        (
            "Which five countries brought the most revenue last month?",
            "SELECT c.country, sum(o.total) AS revenue\nFROM orders o JOIN customers c ON c.id = o.customer\n"
            "WHERE o.placed_at >= date_trunc('month', now()) - interval '1 month'\n"
            "  AND o.placed_at < date_trunc('month', now())\nGROUP BY c.country ORDER BY revenue DESC LIMIT 5;",
        ),
        (
            "Only customers with more than one order, please.",
            "Add before GROUP BY:\n  AND o.customer IN (SELECT customer FROM orders\n"
            "    GROUP BY customer HAVING count(*) > 1)",
        ),
    ),
    _scene(
        "uebersetzung",
        "Du übersetzt Produkttexte ins Deutsche. Sachlich, ohne Werbesprache.",
        (
            "Solid oak table, seats six, extends to 240 cm. Oiled, not lacquered.",
            "Tisch aus massiver Eiche für sechs Personen, ausziehbar auf 240 cm. Geölt, nicht lackiert.",
        ),
        (
            "Bitte noch die Pflegehinweise: wipe with a damp cloth, oil once a year, keep away from radiators.",
            "Mit einem feuchten Tuch abwischen, einmal im Jahr nachölen und nicht direkt an einen Heizkörper stellen.",
        ),
    ),
    _scene(
        "resume-de-reunion",
        "Tu résumes des comptes rendus de réunion en trois points au plus.",
        (
            "Marie présente les chiffres d'octobre : ventes en hausse de 8 %, retours stables. Karim demande deux"
            " personnes de plus à l'entrepôt. Décision reportée au 3 décembre.",
            "• Ventes d'octobre : +8 %, retours stables.\n• L'entrepôt demande deux renforts.\n"
            "• Décision reportée au 3 décembre.",
        ),
        ("Qui doit préparer la décision ?", "Le compte rendu ne le dit pas ; la demande vient de Karim."),
    ),
    _scene(
        "planificador-de-viajes",
        "Planificas excursiones de un día en tren. Responde con horarios aproximados.",
        (
            "Salgo de Sevilla con dos niños y quiero ver un castillo sin andar demasiado.",
            "Toma el tren de las 9:10 a Almodóvar del Río (unos 80 minutos, con cambio en Córdoba). El castillo está a"
            " quince minutos en taxi. Comed en el pueblo y volved en el tren de las 17:40.",
        ),
        (
            "¿Y si llueve?",
            "Entonces quedaos en Córdoba: la Mezquita es cubierta y está a veinte minutos a pie de la estación.",
        ),
    ),
    _scene(
        "atendimento",
        "Você responde dúvidas sobre contas de luz, com frases curtas e sem jargão.",
        (
            "Minha conta dobrou de um mês para o outro. O que pode ter acontecido?",
            "As causas mais comuns são leitura estimada, mudança de bandeira tarifária e aparelhos novos, como um"
            " ar-condicionado. Compare a leitura impressa na conta com a do medidor: se não bater, peça a revisão.",
        ),
        ("Como peço a revisão?", "Pelo aplicativo, em Serviços, Revisão de conta. Anexe uma foto do medidor."),
    ),
    _scene(
        "料理レシピ",
        "あなたは家庭料理の先生です。冷蔵庫にあるものだけで作れる献立を提案してください。",
        (
            "豆腐と卵と長ねぎがあります。十分で作れるものは?",
            "卵とじ豆腐はいかがでしょう。鍋にだしと醤油、みりんを温め、豆腐と斜め切りのねぎを入れて三分煮ます。"
            "溶き卵を回し入れ、ふたをして火を止め、一分蒸らせば出来上がりです。",
        ),
        ("子ども向けに甘めにするには?", "みりんを大さじ一杯増やし、醤油を少し減らしてください。"),
    ),
    _scene(
        "合同摘要",
        "你负责把合同条款概括成普通人看得懂的话,不提供法律意见。",
        (
            "乙方应于收到货物后七个工作日内提出质量异议,逾期视为验收合格。这是什么意思?",
            "收到货后有七个工作日检查。如果发现问题,要在这段时间内书面告诉对方;超过时间没有说,就算你认可了货物质量。",
        ),
        ("周末算在内吗?", "条款写的是工作日,所以周末和法定节假日一般不计算在内。"),
    ),
    _scene(
        "خدمة-العملاء",
        "أنت مساعد في متجر كتب. أجب بلطف وباختصار.",
        (
            "طلبت كتابين ووصلني كتاب واحد فقط، ماذا أفعل؟",
            "نعتذر عن ذلك. غالبًا ما نرسل الطلب في طردين عندما يأتي الكتابان من مخزنين مختلفين. ستجد رقم تتبع الطرد"
            " الثاني في صفحة طلباتك، وإن لم يصل خلال ثلاثة أيام فسنرسل نسخة جديدة مجانًا.",
        ),
        ("هل يمكنني إلغاء الكتاب الثاني؟", "نعم، ما دام لم يُشحن بعد: اضغط «إلغاء» بجانب اسمه في صفحة طلباتك."),
    ),
    _scene(
        "गणित-शिक्षक",
        "आप कक्षा सात के बच्चों को गणित समझाते हैं। हर कदम सरल शब्दों में लिखें।",
        (
            "240 का 15 प्रतिशत कैसे निकालें?",
            "पहले 10 प्रतिशत निकालो: 240 ÷ 10 = 24। फिर 5 प्रतिशत, जो इसका आधा है: 12। दोनों को जोड़ो: 24 + 12 = 36।",
        ),
        ("और 35 प्रतिशत?", "10 प्रतिशत तीन बार: 24 × 3 = 72। उसमें 5 प्रतिशत जोड़ो: 72 + 12 = 84।"),
    ),
    _scene(
        "редактор",
        "Ты редактор. Сокращай тексты, не меняя смысла.",
        (
            "В связи с тем, что в настоящее время наблюдается отсутствие свободных мест, мы вынуждены отказать.",
            "Свободных мест нет, поэтому мы вынуждены отказать.",
        ),
        ("А вежливее?", "К сожалению, свободных мест сейчас нет. Мы напишем вам, как только они появятся."),
    ),
    _scene(
        "회의-일정",
        "당신은 일정 비서입니다. 가능한 시간을 두 개 제안하세요.",
        (
            "다음 주에 디자인 팀과 한 시간 회의를 잡아 주세요. 화요일 오전은 안 됩니다.",
            "월요일 오후 2시와 목요일 오전 10시가 모두 비어 있습니다. 어느 쪽으로 초대장을 보낼까요? 🙂",
        ),
        ("목요일로 해 주세요.", "목요일 오전 10시로 초대장을 보냈습니다. 회의실은 3층 소나무실입니다."),
    ),
)
"""Emoji, right-to-left text and scripts without spaces are among them on purpose: they are what real logs hold."""


PICTURES = _scene(
    "catalogue-pictures",
    "",
    ("An oak table in a bright kitchen, morning light, no people", "A table by the window."),
    ("The same table seen from above, set for six", "The table from above."),
)
"""What a model that draws is asked."""

PHOTOS = _scene(
    "damage-check",
    "You look at photos of parcels and say whether the goods inside may be damaged.",
    (
        "The courier left it like this. Should I accept it?",
        "One corner is pressed in and the tape was opened and closed again. Accept it with a written reservation, and"
        " photograph the contents before you unpack them.",
    ),
    ("And this one?", "No damage is visible; the label is torn, but it can still be read."),
)
"""What a model that sees is asked."""


_WARES = ("Table", "Shelf", "Chair", "Lamp", "Bench", "Cupboard", "Desk", "Mirror", "Stool", "Wardrobe")
_WOODS = ("oak", "ash", "walnut", "pine", "beech")


def catalogue() -> str:
    """A long text that many calls begin with: what makes providers read a prompt from their cache."""
    lines = [
        f"Article {100 * row + column}: {ware} in {wood}. {49 + 13 * row + 7 * column}.00 EUR, in stock:"
        f" {(row * 7 + column * 3) % 40}, delivery within {2 + (row + column) % 5} working days, returns free for"
        " 30 days, spare parts for 10 years."
        for row, ware in enumerate(_WARES, 1)
        for column, wood in enumerate(_WOODS, 1)
    ]
    return "\n".join(["What we sell:", *lines])
