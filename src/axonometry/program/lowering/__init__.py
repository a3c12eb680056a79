"""From the exported calls to the program: a walk notes what each node is, and the notes are put together."""

from axonometry.program.lowering.walk import lower as lower
