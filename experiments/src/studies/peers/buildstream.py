from buildstream import Element, ElementError


class Action(Element):
    BST_MIN_VERSION = "2.4"

    def configure(self, node):
        node.validate_keys(["words"])
        self.words = node.get_str_list("words")

    def preflight(self):
        pass

    def get_unique_key(self):
        return {"words": self.words}

    def configure_sandbox(self, sandbox):
        sandbox.mark_directory("/out")
        sandbox.set_environment(self.get_environment())
        sandbox.set_work_directory("/")

    def stage(self, sandbox):
        self.stage_dependency_artifacts(sandbox)
        self.stage_sources(sandbox, "/src")
        sandbox.get_virtual_directory().open_directory("out", create=True)

    def assemble(self, sandbox):
        if sandbox.run(["/program"] + self.words) != 0:
            raise ElementError("the action failed")
        return "/out"


def setup():
    return Action
