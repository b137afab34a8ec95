package workspace

import "github.com/azml-go/azml/internal/core"

// Handle is for packages that serve an opened workspace.
func Handle(w *Workspace) core.Handle { return w.h }
