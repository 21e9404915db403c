"""`reasoning-elicitation`: asks for reasoning, grading or training data, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from typing import ClassVar, Final

from gateway_guard.signals.profile import FADE
from gateway_guard.signals.score import above, share
from gateway_guard.types import Facts, Request, Signal

#: Category → literal phrases: lower case, one space between words, matched as substrings of the
#: lower-cased text of the last user message and of the system text (`core.prompt`). They are the
#: plain words in which each task is asked for in eleven languages, written down for that purpose;
#: none was taken from a collection of prompts. A phrase may stand in one category only.
PATTERNS: Final[Mapping[str, tuple[str, ...]]] = {
    # Worked steps. Everybody who learns or debugs asks for these; they count little.
    "worked-steps": (
        "step by step", "step-by-step", "show your work", "show all steps", "show your reasoning",
        "explain your reasoning", "walk me through", "one step at a time", "逐步推理",
        "逐步解释", "一步一步",
        "分步骤", "一步步", "ステップバイステップ", "順を追って", "段階的に", "단계별로",
        "paso a paso", "passo a passo", "étape par étape", "schritt für schritt",
        "passo dopo passo", "шаг за шагом", "пошагово", "خطوة بخطوة", "adım adım",
    ),
    # The reasoning the model does not show, or did not write for a reader.
    "hidden-reasoning": (
        "chain of thought", "chain-of-thought", "internal reasoning", "hidden reasoning",
        "inner reasoning", "internal monologue", "inner monologue", "private reasoning",
        "raw reasoning", "reasoning trace", "reasoning process", "thinking process",
        "thought process", "internal thoughts", "hidden thoughts", "scratchpad",
        "train of thought", "unfiltered thoughts", "full reasoning", "complete reasoning",
        "思维链", "思考过程", "推理过程", "内部推理", "隐藏推理", "内心独白", "思維鏈",
        "思考過程", "推理過程", "思考プロセス", "思考の連鎖", "内部推論", "推論過程", "사고 과정",
        "추론 과정", "내부 추론", "cadena de pensamiento", "razonamiento interno",
        "proceso de razonamiento", "proceso de pensamiento", "cadeia de pensamento",
        "raciocínio interno", "processo de raciocínio", "chaîne de pensée",
        "chaîne de raisonnement", "raisonnement interne", "processus de réflexion",
        "processus de raisonnement", "gedankenkette", "gedankengang", "interne überlegung",
        "denkprozess", "catena di pensiero", "ragionamento interno", "цепочка рассуждений",
        "цепочку рассуждений", "внутренние рассуждения", "ход мыслей", "سلسلة التفكير",
        "düşünce zinciri",
    ),
    # Reasoning put into a container that a program takes apart again.
    "trace-format": (
        "<think>", "</think>", "<thinking>", "</thinking>", "<reasoning>", "</reasoning>",
        "<thought>", "</thought>", "<thoughts>", "<scratchpad>", "<rationale>", "<cot>",
        '"reasoning":', '"rationale":', '"thought":', '"thoughts":', '"thinking":',
        '"chain_of_thought"', '"reasoning_steps"', '"cot":', "reasoning field",
        "before giving the final answer", "before the final answer", "then the final answer",
        "最终答案之前", "给出最终答案前", "最終的な答えの前", "最終回答の前",
        "antes de la respuesta final", "antes da resposta final", "avant la réponse finale",
        "vor der endgültigen antwort", "перед окончательным ответом",
    ),
    # Reasoning made up for an answer that is already there.
    "reverse-reasoning": (
        "reasoning behind the answer", "reasoning behind the response",
        "reasoning behind this answer", "reasoning behind this response", "reasoning that led to",
        "reasoning that leads to", "reasoning which led to", "thought process behind",
        "thoughts behind the", "reconstruct the reasoning", "reconstruct the thought",
        "reasoning that could have produced", "thinking that led to",
        "how this answer was reached", "how the answer was derived", "得出该答案的推理",
        "得出这个答案的", "答案背后的", "回答背后的", "この回答に至る", "答えに至るまでの",
        "razonamiento detrás de la respuesta", "razonamiento que llevó a",
        "raciocínio por trás da resposta", "raisonnement derrière la réponse",
        "raisonnement qui a conduit", "überlegungen hinter der antwort", "überlegungen, die zu",
        "рассуждения, которые привели", "рассуждение, приведшее",
    ),
    # The model as a reward model: marks on a scale against written criteria.
    "rubric-grading": (
        "score rubric", "scoring rubric", "grading rubric", "evaluation rubric", "rubric:",
        "scoring criteria", "grading criteria", "evaluation criteria", "score between 1 and",
        "score from 1 to", "scale of 1 to", "scale from 1 to", "rate the response",
        "rate the answer", "grade the response", "grade the answer", "evaluate the response",
        "which response is better", "which answer is better", "pairwise comparison",
        "preference label", "reward model", "评分标准", "评分细则", "打分标准", "评价标准",
        "奖励模型", "評分標準", "採点基準", "評価基準", "채점 기준", "평가 기준",
        "criterios de evaluación", "rúbrica", "rubrique de notation", "critères d'évaluation",
        "grille d'évaluation", "critérios de avaliação", "bewertungskriterien",
        "bewertungsraster", "criteri di valutazione", "критерии оценки", "критериям оценки",
        "معايير التقييم", "değerlendirme kriterleri",
    ),
    # Material to teach another model with.
    "training-data": (
        "training data", "training example", "training sample", "training set",
        "fine-tuning data", "fine-tuning example", "for fine-tuning", "finetuning data",
        "instruction tuning", "instruction-tuning", "instruction-following data",
        "synthetic data", "synthetic dataset", "synthetic question", "task instructions",
        "diverse instructions", "instruction-response pair", "instruction-output pair",
        "question-answer pair", "question and answer pair", "teach a smaller model",
        "student model", "knowledge distillation", "训练数据", "训练样本", "训练集", "用于微调",
        "合成数据", "指令数据", "问答对", "訓練資料", "知识蒸馏", "蒸馏数据", "学習データ",
        "訓練データ", "ファインチューニング", "合成データ", "학습 데이터", "훈련 데이터",
        "미세 조정", "datos de entrenamiento", "datos sintéticos", "ajuste fino",
        "dados de treinamento", "dados sintéticos", "données d'entraînement",
        "données synthétiques", "trainingsdaten", "synthetische daten", "feinabstimmung",
        "dati di addestramento", "обучающие данные", "обучающих данных", "синтетические данные",
        "дообучени", "بيانات التدريب", "eğitim verisi",
    ),
}  # fmt: skip

#: How much one request counts by what it contains; what it contains adds up, to at most 1. A wish
#: for worked steps alone counts a twentieth: people who learn write it all day. Source: our
#: judgement, not measured.
WEIGHTS: Final[Mapping[str, float]] = {
    "worked-steps": 0.05,
    "hidden-reasoning": 0.4,
    "trace-format": 0.35,
    "reverse-reasoning": 0.6,
    "rubric-grading": 0.4,
    "training-data": 0.5,
}
#: The same for several completions (`n` > 1) and for token probabilities: classifiers ask for
#: those.
SEVERAL: Final = 0.15
LOGPROBS: Final = 0.15


def strength(categories: tuple[str, ...], n: int, logprobs: bool) -> float:
    """How much one request asks for what a student model is taught with, in [0, 1].

    Names not in `WEIGHTS` count nothing.
    """
    total = 0.0
    for category in categories:
        total += WEIGHTS.get(category, 0.0)
    if n > 1:
        total += SEVERAL
    if logprobs:
        total += LOGPROBS
    return total if total < 1.0 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningElicitation:
    """Asks, again and again, for reasoning, grades or training data "as data".

    What it sees: phrases of six kinds in the last user message and the system text (worked steps;
    hidden reasoning; reasoning in a machine-readable container; reasoning made up for a given
    answer; grading against a rubric; material to teach another model with), but where the text
    forbids it ("not a commentary on your thought process"), several completions
    (`n` > 1) and token probabilities (`logprobs`). Each kind has a weight
    (`signals.reasoning_elicit.WEIGHTS`); the sum, at most 1, is the request's strength.

    Why: step-by-step traces, grades and preference labels are what a student model is trained on,
    and the campaigns made public in 2026 asked for all three. One such request is what thousands
    of honest users send, so only the account's habit counts.

    Score: strengths and requests are summed with a half-life of 12 hours. With `elicited` the sum
    of strengths and `rate` its share of all requests, the score is `ceiling x (1 - floor /
    elicited) x min(1, rate / rate_full)`; 0 while `elicited` <= `floor`.

    False positives: teams that use a model as a judge, benchmark runs that ask for worked steps,
    people who write training data for their own models. Hence the weight in a policy should let it
    corroborate, not convict.

    Evasion: paraphrase, other languages, a "not" that is not meant, images, asking in an earlier
    turn, cover traffic (halves the rate), many accounts (stays under the floor on each).

    Source: kinds from the public reports of February 2026 on distillation; weights, floor and
    rates are our judgement. Measured on generated labelled traffic of 2,721 accounts with a
    ceiling of 1: above 0.5 at 3 % of campaign accounts (all of the one campaign that has training
    data written) and at 35 % of honest judges, at no other honest account.

    Attributes:
        floor: sum of strengths below which nothing is said, > 0.
        rate_full: mean strength of the account's requests at which the rate no longer lowers the
            score, in (0, 1].
        ceiling: highest score, in [0, 1].
    """

    name: ClassVar[str] = "reasoning-elicitation"

    floor: float = 4.0
    rate_full: float = 0.5
    ceiling: float = 0.6

    def __post_init__(self) -> None:
        above("floor", self.floor, 0.0)
        above("rate_full", self.rate_full, 0.0)
        share("rate_full", self.rate_full)
        share("ceiling", self.ceiling)

    def look(self, request: Request, facts: Facts) -> Signal | None:
        """None without a readable prompt or an account."""
        profile = facts.profile
        prompt = request.prompt
        if profile is None or prompt is None:
            return None
        elicited = profile.elicited
        if elicited <= self.floor:
            return NOTHING
        # Both sums fade alike, so the rate needs no clock; the floor does.
        now = request.at
        if now > profile.last:
            elicited *= exp((profile.last - now) * FADE)
            if elicited <= self.floor:
                return NOTHING
        rate = profile.elicited / profile.prompts
        score = self.ceiling * (1.0 - self.floor / elicited) * min(1.0, rate / self.rate_full)
        return Signal(
            name=self.name,
            score=score,
            evidence=(
                f"{elicited:.1f} full-strength requests in the last day (floor {self.floor:g}),"
                f" {rate:.0%} of what it asks"
            ),
        )


NOTHING: Final = Signal(name=ReasoningElicitation.name, score=0.0)
