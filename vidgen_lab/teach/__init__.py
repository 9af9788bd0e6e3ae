"""The classroom: student versions of the labs, and their grading.

release writes student versions, grade marks a folder of submissions, check runs the checks of one notebook.
"""

from vidgen_lab.teach.grade import Graded, GradingError, Result, check, grade
from vidgen_lab.teach.kernel import Limits
from vidgen_lab.teach.release import release, student_version

__all__ = ["Graded", "GradingError", "Limits", "Result", "check", "grade", "release", "student_version"]
