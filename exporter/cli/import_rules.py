"""What the options of ``fleetscope import`` change in the rules for files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exporter.history.importing.layout import FileRule


@dataclass(frozen=True)
class RuleChanges:
    """What options change in rules that leave it open.

    Attributes
    ----------
    units, quantities, where : list of str
        As the options give them, with an equals sign each.
    value_column : str or None
    """

    units: list[str]
    quantities: list[str]
    where: list[str]
    value_column: str | None

    def checked(self, rules: list[FileRule]) -> list[FileRule]:
        """The rules.

        Raises
        ------
        LayoutError
            If an option cannot be used.
        """
        from exporter.history.importing.layout import LayoutError
        from exporter.history.importing.units import conversion, kind

        for option, texts, expected in (
            ("--unit", self.units, "QUANTITY=UNIT, cell.voltage_v=mV"),
            ("--quantity", self.quantities, "USUAL=OTHER quantity"),
            ("--where", self.where, "COLUMN=TEXT"),
        ):
            for text in texts:
                left, equals, right = text.partition("=")
                if not equals or not left:
                    raise LayoutError(f"{option} {text}: expected {expected}")
                if option == "--unit":
                    conversion(kind(left), right)
                elif option == "--quantity" and kind(left) and kind(right) and left == right:
                    raise LayoutError(f"{option} {text}: expected {expected}")
        return rules

    def applied(self, rule: FileRule) -> FileRule:
        """A rule with the options' changes."""
        changes: dict[str, Any] = {}
        quantity = pairs(self.quantities).get(str(rule.quantity), rule.quantity)
        if quantity != rule.quantity:
            changes["quantity"] = quantity
        if quantity is not None and rule.unit is None:
            units = pairs(self.units)
            changes["unit"] = units.get(quantity) or units.get(str(rule.quantity))
        if self.value_column is not None and rule.value_column is None:
            changes["value_column"] = self.value_column
        if self.where and not rule.where:
            changes["where"] = pairs(self.where)
        return rule.model_copy(update=changes)


def pairs(texts: list[str]) -> dict[str, str]:
    """``LEFT=RIGHT`` options as a table."""
    return {left: right for left, _, right in (text.partition("=") for text in texts)}
