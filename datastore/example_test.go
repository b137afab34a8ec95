package datastore_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/workspace"
)

// A folder becomes a datastore, whose files are read as an fs.FS.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "azml-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ws, err := workspace.Open(ctx, filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key")})
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Close(ctx)

	raw, err := ws.Datastores().Register(ctx, "raw", datastore.Folder{Path: filepath.Join(dir, "data")}, &datastore.RegisterOptions{Create: true})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := raw.Write(ctx, "2026/march.csv", strings.NewReader("id,price\n1,2.5\n"), nil); err != nil {
		log.Fatal(err)
	}
	names, err := fs.Glob(raw.FS(ctx, ""), "*/*.csv")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(names)
	fmt.Println(raw.URI("2026/march.csv"))
	// Output:
	// [2026/march.csv]
	// azureml://datastores/raw/paths/2026/march.csv
}
