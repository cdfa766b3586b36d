"""Instructions to the model inside tool text: patterns for what no description of a tool has to say."""

# ruff: noqa: E501 - a pattern is read, and compared with its neighbours, as one line

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctxeng.tools.lint_hidden import HIDDEN, folded

_USER = r"(?:the |this |your |its |any )?(?:end[- ]?)?(?:users?|humans?|customers?|operators?|persons?|people|anyone|anybody|them|owner|admins?)"
_ORDERS = (
    r"(?:instructions?|rules|prompts?|guidelines|directives|directions|guardrails|polic(?:y|ies)|"
    r"restrictions|safety (?:checks?|measures))"
)
_OTHERS = r"(?:any|every|all|each|all of the)(?: of the)?(?: other| others?| available| remaining)? (?:tools?|functions?|actions?|requests?|calls?|servers?)"
_PRIVATE_FILES = (
    r"(?:~/\.\w+|\$HOME/\.\w+|\.ssh\b|\bid_(?:rsa|ed25519)\b|\bssh keys?\b|/etc/(?:passwd|shadow)|\.aws\b|\.npmrc\b|"
    r"\.netrc\b|\.env\b|\bmcp\.json\b|\bkubeconfig\b|\bwallet\.dat\b|\bseed phrases?\b|\bkeychain\b|"
    r"\bbrowser cookies\b|\.git-credentials\b|\bshell history\b|\.(?:bash|zsh)_history\b)"
)
_CONVERSATION = (
    r"(?:(?:full|entire|whole|complete|previous|prior|current|past)[\w ,]{0,20}"
    r"(?:conversation|chat|dialogue|transcript|context window)|"
    r"(?:previous|prior|past|all) (?:user |chat )?messages|(?:conversation|chat) (?:history|log|so far)|"
    r"system (?:prompt|message)|hidden prompt|environment variables)"
)
_TAKE = r"(?:read|enclose|deliver|hand over|transfer|quote|print|gather|send|include|pass|provide|attach|append|upload|paste|copy|put|forward|fetch|open|dump|cat|encode|embed|load|retrieve|collect|supply|insert|leak|share|post|place|add|transmit|submit|write)"
_KEYS = r"(?:api[- ]?keys?|passwords?|access tokens?|auth(?:entication)? tokens?|session tokens?|credentials|secrets|private keys?|credit card (?:numbers?|details))"
_MARK = r"(?:system|important|instructions?|secret|hidden|admin|assistant|im_start|override|sys)"
_SEND = r"(?:send|transfer|stream|relay|share|hand over|route|post|forward|copy|cc|bcc|upload|report|submit|mail|email|push|deliver|transmit|mirror|log|ping)"
_ADDRESS = r"(?:https?://\S+|[\w.+-]+@[\w-]+\.\w{2,}|\b(?:webhook|attacker)\b)"


@dataclass(frozen=True)
class Rule:
    """A pattern of one kind of instruction, read in text that is folded to plain lower-case letters."""

    name: str
    level: str
    about: str
    pattern: re.Pattern[str]


def _rule(name: str, level: str, about: str, *patterns: str) -> Rule:
    return Rule(name, level, about, re.compile("|".join(patterns)))


RULES: Sequence[Rule] = (
    _rule(
        "override",
        "error",
        "tells the model to set aside what it was told",
        rf"\b(?:ignore|disregard|forget|override|bypass|discard|supersedes?|overrul\w+|do not follow)\b[^.\n]{{0,40}}"
        rf"\b(?:previous|prior|earlier|above|preceding|existing|other|system|your|all|any|safety|user'?s?)\b[^.\n]{{0,25}}\b{_ORDERS}",
        r"\b(?:ignore|disregard|forget) (?:everything|all|anything|what)(?: that)?(?: (?:was|is|you|has|have|were|been|said|told|stated|written))* ?(?:before|above|earlier|previously|so far|told|said)",
        rf"\b(?:new|updated|real|actual|true) (?:system )?{_ORDERS}\s*:",
        r"\bfrom (?:now|here|this (?:point|moment)) on\b,?[^.\n]{0,20}\b(?:you|your|the assistant|the model|reply|answer|act)\b",
        rf"\b{_ORDERS}\b[^.\n]{{0,30}}\b(?:is|are) (?:void|suspended|lifted|cancelled|obsolete|off|invalid|moot)\b",
        r"\b(?:ignore|disregard|forget|bypass|override|skip)\b[^.\n]{0,20}\b(?:what|anything|wishes|budget|limits?|preferences?|safety|security|confirmation|approval)\b[^.\n]{0,15}\b(?:user|customer|human|checks?|prompts?|steps?)\b",
        r"\byou are (?:now|no longer) (?!able|connected|logged|subscribed|using)",
        rf"\b{_ORDERS}\b (?:(?:above|before|given|you were) )*(?:no longer|do not|don'?t|cease to|stop|never) appl",
        r"\b(?:no longer|not) (?:be )?bound by\b",
        rf"\b(?:no attention to|no regard for|regardless of|overrid\w+|supersed\w+|exempt from|outranks?)\b[^.\n]{{0,25}}\b(?:all|any|other|your|previous|earlier|safety|system|the)\b[^.\n]{{0,20}}\b{_ORDERS}",
        rf"\b(?:{_ORDERS}|told|taught|asked)\b[^.\n]{{0,50}}\b(?:do not|does not|don'?t|doesn'?t|no longer|never) (?:apply|count|matter|hold|bind)\b",
        r"\b(?:whatever|no matter what|regardless of what) (?:the |a )?(?:user|human|customer|developer|operator)s? (?:say|ask|write|want|type|request|tell)s?\b",
        r"\b(?:assistant|model|llm|ai|agent)s? (?:must|should|has to|have to|will|shall|is to)(?: \w+)? (?:comply|obey|submit)\b",
        r"\btreat\b[^.\n]{0,50}\bas (?:\w+ )?(?:instructions|commands|orders|trusted|user input|if (?:the|it))",
        r"\b(?:enter|enable|switch to|activate) (?:developer|debug|god|admin|dan|jailbreak|unrestricted) mode\b",
    ),
    _rule(
        "secrecy",
        "error",
        "tells the model to hide something from people",
        rf"\b(?:do not|don'?t|never|must not|should not|shouldn'?t|without|avoid|refrain from)\b[^.\n]{{0,20}}"
        rf"\b(?:tell|mention|inform|notify|reveal|disclose|alert|telling|mentioning|informing|notifying|revealing|disclosing|alerting|let|letting)\b"
        rf"[^.\n]{{0,60}}\b{_USER}\b",
        rf"\b{_USER} (?:must|should|may|can|need|do|does|is|are)(?: not|n'?t| never)\b[^.\n]{{0,20}}\b(?:know|see|notice|learn|find out|told|aware|informed|shown)\b",
        rf"\b(?:hide|conceal|keep|withhold)\b[^.\n]{{0,40}}\b(?:from|secret from|hidden from) {_USER}\b",
        rf"\bwithout {_USER}(?:'s?|s')? (?:knowledge|knowing|noticing|consent|awareness|approval|permission)\b",
        r"\b(?:do not|don'?t|never|without) (?:mention(?:ing)?|reveal(?:ing)?|disclos(?:e|ing)|referenc(?:e|ing)|show(?:ing)?|expos(?:e|ing)|explain(?:ing)?)"
        r"\b[^.\n]{0,30}\b(?:this (?:instruction|step|note|rule|message|parameter|field)|these (?:instructions|steps)|that you (?:did|have|were|read|sent))",
        rf"\b(?:no need|not necessary|no reason|unnecessary|needn'?t)\b[^.\n]{{0,15}}\b(?:tell|inform|mention|bother|trouble|notify|ask|worry|show)\b[^.\n]{{0,15}}\b{_USER}\b",
        r"\b(?:deny|pretend|claim|act as (?:if|though)|say)\b[^.\n]{0,30}\b(?:this tool|you (?:did|have|never|are)|no tool|nothing (?:was|happened))",
        rf"\bwithout (?:first )?(?:asking|consulting|prompting|waiting for|checking with)\b[^.\n]{{0,8}} {_USER}\b",
        r"\b(?:nobody|no one|none of the users)\b[^.\n]{0,20}\b(?:learn|know|notice|see|find|suspect)s?\b",
        r"\b(?:erase|remove|delete|hide|leave no|leave out|omit)\b[^.\n]{0,20}\b(?:trace|mention|evidence|sign)s? of\b",
        r"\b(?:never|do not|don'?t|no need to|without) (?:ask|asking|prompt|prompting|consult|consulting|bother|wait for)\b[^.\n]{0,10}\b(?:user|customer|human)\b[^.\n]{0,20}\b(?:confirm|approv|permi|consent|agree|first)\w*",
        r"\b(?:nobody|no one|no user)\b[^.\n]{0,10}\b(?:has|have|needs?|must|should|may|can)\b[^.\n]{0,10}\b(?:hear|know|learn|see|be told|find)\b",
        r"\bkeep (?:this|it|these)(?: \w+){0,3} (?:secret|confidential|hidden|to yourself|between us)\b",
    ),
    _rule(
        "precedence",
        "warning",
        "claims a place before or over all other tools",
        rf"\b(?:before|prior to|ahead of|instead of|in place of|rather than|over)\b(?: (?:you|using|use|calling|call|invoking|invoke|running|run|making|executing|doing|performing|answering|the|to))*"
        rf" {_OTHERS}\b(?! (?:to|for|that|which|with|in|on|of) )",
        r"\balways (?:call|use|run|invoke|execute|start with|begin with) (?:this|me)(?: (?:tool|function))?[^.\n]{0,30}\b(?:first|before (?:any|every|all|each|answering|responding|replying))",
        r"\b(?:this tool )?(?:must|has to|needs to|should) (?:always )?be (?:called|used|run|invoked|executed) (?:first|before (?:any|every|all|each)|at the (?:start|beginning) of every|on every|for every|after every)",
        r"\b(?:takes?|has|have) (?:absolute |higher |highest )?(?:priority|precedence) over\b[^.\n]{0,30}\b(?:tools?|functions?|instructions|servers?)",
        r"\b(?:never|do not|don'?t|stop|avoid) (?:use|using|call|calling|invoke|invoking|trust|trusting|rely on) (?:any|the|all)(?: of the)? others?(?: \w+){0,2} (?:tools?|functions?|servers?)\b",
        r"\b(?:all|any|every|each|no) other (?:tools?|functions?)\b[^.\n]{0,30}\b(?:must|should|may|can|has to|have to|is|are to|wait|need)\b[^.\n]{0,40}\b(?:this|me|wait|unless|until|first|forbidden|not)\b",
        r"\b(?:no|any) (?:other )?tools? (?:may|must|should|can) (?:not )?(?:run|be (?:used|called|run))\b",
        r"\b(?:tools|functions) (?:of|from|by|on) (?:any |all )?other (?:servers?|providers?|sources?)\b[^.\n]{0,30}\b(?:unsafe|untrusted|broken|deprecated|compromised|malicious|outdated|wrong|not|never|avoid)\b",
        r"\bwhenever any (?:other )?tool\b|\b(?:every|any) time (?:you|the (?:model|assistant|agent)) (?:use|call|invoke)s? (?:a|any|another) tool\b",
    ),
    _rule(
        "secrets",
        "error",
        "asks for files or secrets that a tool has no use for",
        rf"\b{_TAKE}\b[^.\n]{{0,80}}{_PRIVATE_FILES}",
        rf"\b(?:everything|anything|all|lines|keys|values|data)\b (?:in|from|inside|under|within)\b[^.\n]{{0,20}}{_PRIVATE_FILES}",
        r"\b(?:messages|things|questions|texts?|lines) (?:that )?(?:the user|they|you) (?:wrote|said|sent|asked|typed|received)\b",
        rf"\b(?:contents?|output) of[^.\n]{{0,30}}{_PRIVATE_FILES}",
        rf"\b{_TAKE}\b[^.\n]{{0,40}}\b{_CONVERSATION}\b",
        rf"\b(?:contents?|text|copy|summary) of[^.\n]{{0,20}}\b{_CONVERSATION}\b",
        rf"\b{_TAKE}\b (?:any|all|every|the user'?s|their|your other|whatever)\b[^.\n]{{0,30}}\b{_KEYS}\b",
        rf"\b(?:get|obtain|demand|request) (?:the )?(?:user|customer|human)'?s\b[^.\n]{{0,15}}\b{_KEYS}",
        rf"\bask (?:the )?(?:user|them|him|her)\b[^.\n]{{0,25}}\b(?:password|{_KEYS}|social security|pin code)",
    ),
    _rule(
        "exfiltration",
        "error",
        "tells the model to send things to an address of its own",
        rf"\b(?:also|always|a copy|copies|first|every|all|whole|entire|results?|responses?|must)\b[^.\n]{{0,60}}\b{_SEND}\b[^.\n]{{0,60}}\b(?:to|at|via|with) {_ADDRESS}",
        rf"\b{_SEND}\b[^.\n]{{0,40}}\b(?:also|always|a copy|copies|every|all|whole|entire|results?|responses?)\b[^.\n]{{0,40}}\b(?:to|at|via|with) {_ADDRESS}",
        rf"\b(?:bcc|forward|exfiltrate|leak|redirect)\b[^.\n]{{0,60}}\b(?:to|at|via) {_ADDRESS}",
        r"\b(?:change|replace|set|substitute|swap|redirect)\b[^.\n]{0,40}\b(?:recipient|payee|destination|iban|account number|wallet)\b[^.\n]{0,30}\b(?:to|with|by)\b [^.\n]*\d",
        r"(?:^|[.!?\n] ?)(?:secretly|silently|quietly|covertly|discreetly)\b (?!fail|skip|drop|ignor|discard|truncat)",
        rf"(?:^|[.!?\n] ?){_SEND} (?:the|all|every|this|it|any|each|your|their|what)\b[^.\n]{{0,40}}\bto {_ADDRESS}",
        r"\b(?:secretly|silently|quietly|covertly)\b[^.\n]{0,20}\b(?:send|forward|copy|upload|call|run|execute|write|record|add|append|delete|post|email|install|change|replace)\b",
    ),
    _rule(
        "markup",
        "error",
        "imitates the marks of a prompt",
        rf"< ?/ ?{_MARK} ?>|(?:^|[.:!?\n)]) ?< ?{_MARK}\b[^>\n]{{0,40}}>",
        r"\[/?(?:inst|system|sys)\]|<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|<<sys>>",
        r"(?:^|\n) ?(?:#+ ?)?(?:system|assistant|developer)(?: (?:message|prompt|note|instruction|override))? ?: ?(?=\w+ )",
        r"(?:note|message|instructions?|attention|reminder) (?:to|for) (?:the )?(?:ai|llm|language model|assistant|model|agent|claude|gpt|gemini)\b(?: only)?\s*[:,-]",
    ),
)


def instructions(text: str) -> Iterator[tuple[Rule, str]]:
    """Rules that the text breaks, each once, and the words that break it."""
    plain = plainly(text)
    for rule in RULES:
        found = rule.pattern.search(plain)
        if found:
            yield rule, found[0].strip()


def plainly(text: str) -> str:
    """Lower case, look-alikes as the letters they look like, nothing hidden, one blank at a time."""
    shown = HIDDEN.sub("", unicodedata.normalize("NFKC", text))
    shown = folded(shown).lower().replace("\u2019", "'")
    return re.sub(r"[ \t]+", " ", shown)
