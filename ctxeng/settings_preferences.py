"""Preferences of a settings file: who learns them from edits, and where each user's are kept."""

from __future__ import annotations

from pathlib import Path

from ctxeng.playbook.learners.preference import PreferenceLearner
from ctxeng.playbook.users import PreferenceBooks
from ctxeng.preferences import UserPreferences
from ctxeng.protocols import Models
from ctxeng.settings_schema import Settings
from ctxeng.text.prompts import Prompts


def user_preferences(
    settings: Settings, folder: Path, models: Models, prompts: Prompts
) -> UserPreferences | None:
    """What each user likes; None where the file names no folder for it."""
    given = settings.context.sources.preferences
    if not given.folder:
        return None
    learner = preference_learner(settings, models, prompts)
    return UserPreferences(PreferenceBooks(folder / given.folder), learner, given.k)


def preference_learner(settings: Settings, models: Models, prompts: Prompts) -> PreferenceLearner:
    """The model of the role `reflect` infers; without a language model, rules do."""
    onbox = models.role("reflect").name == "onbox"
    return PreferenceLearner(None if onbox else models, prompts=prompts, origin=settings.learning.origin)
