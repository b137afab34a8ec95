package snapshot

import (
	"io/fs"

	"github.com/azml-go/azml/internal/gitignore"
)

// vcsFolder is never taken: it is large, and its configuration may hold
// credentials. In a linked worktree it is a file.
const vcsFolder = ".git"

// folderReason gives the reason to leave out a folder of this name, or "".
func folderReason(name string) string {
	switch name {
	case ".hg", ".svn":
		return "built-in: version control"
	case ".azml":
		return "built-in: azml's own folder"
	case ".venv":
		return "built-in: virtual environment"
	case "node_modules":
		return "built-in: installed packages"
	case "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".nox":
		return "built-in: cache"
	case ".ipynb_checkpoints":
		return "built-in: notebook checkpoints"
	}
	return ""
}

// contentReason gives the reason to leave out a folder that holds list, or "".
func contentReason(list []fs.DirEntry) string {
	for _, e := range list {
		switch name := e.Name(); {
		case name == "pyvenv.cfg" && !e.IsDir():
			return "built-in: virtual environment (it holds pyvenv.cfg)"
		case name == "conda-meta" && e.IsDir():
			return "built-in: conda environment (it holds conda-meta)"
		case name == ".localfs" && e.IsDir():
			return "built-in: azml workspace (it holds .localfs)"
		}
	}
	return ""
}

// verdict applies the ignore files and then the built-in rules that go by
// name. Kept says that a pattern took the name back, so that no built-in rule
// holds for it.
func (s *scanner) verdict(m *gitignore.Matcher, name string, isDir bool) (reason string, kept bool) {
	if name == vcsFolder {
		return "built-in: version control", false
	}
	ignored, by := m.Match(name, isDir)
	if ignored {
		return by.String(), false
	}
	kept = s.opts.NoDefaults || by != nil && by.Names(name)
	if !isDir || kept {
		return "", kept
	}
	return folderReason(name), false
}
