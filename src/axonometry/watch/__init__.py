"""Following runs while they are recorded: a local page, or a table in the terminal.

What a recorder writes is all that is read; a run is not touched, and knows nothing of who watches it. A page needs
``pip install 'axonometry[watch]'``.
"""

from axonometry.watch.alerts import Alert as Alert
from axonometry.watch.follower import FolderFollower as FolderFollower
from axonometry.watch.rules import AlertRule as AlertRule
