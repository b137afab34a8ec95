package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// outsider is a program of somebody who uses the library.
const outsider = `package main

import (
	"context"
	"log"
	"os"

	"github.com/azml-go/azml/workspace"
)

func main() {
	if _, err := workspace.Open(context.Background(), os.Args[1], nil); err != nil {
		log.Fatal(err)
	}
}
`

// importFromOutside builds and runs a program in a fresh folder that has the
// library as a requirement, as a newcomer's would.
func importFromOutside(ctx context.Context, j *job) (err error) {
	if _, err := os.Stat(filepath.Join(j.check.root, "workspace")); err != nil {
		return fmt.Errorf("%w: package workspace is not in this tree", errSkip)
	}
	dir, err := os.MkdirTemp("", "azml-import-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	mod := "module example.com/outsider\n\ngo 1.26\n"
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o600),
		os.WriteFile(filepath.Join(dir, "main.go"), []byte(outsider), 0o600),
	)
	for _, args := range [][]string{
		{"mod", "edit", "-replace=github.com/azml-go/azml=" + j.check.root},
		{"mod", "tidy"},
		{"run", ".", filepath.Join(dir, "ws")},
	} {
		if err == nil {
			err = j.exec(ctx, nil, "go", append([]string{"-C", dir}, args...)...)
		}
	}
	return err
}
