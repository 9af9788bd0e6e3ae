"""One paper, one file. `vidgen_lab.list_models()` names them; `vidgen_lab.create_model(name)` builds one."""
