"""From equations to machine code, stage by stage."""

from __future__ import annotations

from benchmarks.problems import PROBLEMS, problem
from isletsim.codegen import emit, lanes, native, program
from isletsim.flat import FlatModel


class Stages:
    """The stages that a model never seen goes through."""

    params = PROBLEMS
    param_names = ("problem",)

    def setup(self, name: str) -> None:
        self.flat: FlatModel = problem(name).flat
        self.program = program.assemble(self.flat)
        self.text = emit.llvm_text(self.program)
        self.lane_text = lanes.lane_program(self.program).text
        self.object = native.make_object(self.text)

    def time_derivatives_and_factors(self, name: str) -> None:
        program.assemble(self.flat)

    def time_writing(self, name: str) -> None:
        emit.llvm_text(self.program)

    def time_machine_code(self, name: str) -> None:
        native.make_object(self.text)

    def time_loading(self, name: str) -> None:
        native.load_object(self.object)

    def time_writing_lanes(self, name: str) -> None:
        lanes.lane_program(self.program)

    def time_machine_code_of_lanes(self, name: str) -> None:
        native.make_object(self.lane_text)

    def track_bytes_of_machine_code(self, name: str) -> int:
        return len(self.object)
