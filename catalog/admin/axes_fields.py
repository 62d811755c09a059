"""Axes and values along them as staff write them: `shade, size`, and `shade: 355N` on a line of its own."""

from __future__ import annotations

from typing import Any

from django import forms


class AxesField(forms.CharField):
    """Names of axes with commas between; what comes out is a list."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [name.strip() for name in (super().to_python(value) or "").split(",") if name.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))


class AxisValuesField(forms.CharField):
    """A line for each axis, `shade: 355N`; what comes out is an object."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(f"{axis}: {text}" for axis, text in value.items()) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        found: dict[str, str] = {}
        for line in filter(str.strip, (super().to_python(value) or "").splitlines()):
            axis, colon, text = (part.strip() for part in line.partition(":"))
            if not (axis and colon and text):
                raise forms.ValidationError(
                    f"{line.strip()[:80]!r}: write the axis, a colon and the value, shade: 355N."
                )
            if axis in found:
                raise forms.ValidationError(f"{axis} is there twice.")
            found[axis] = text
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial or {}))
        except forms.ValidationError:
            return True
