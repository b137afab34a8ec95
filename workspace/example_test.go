package workspace_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/azml-go/azml/workspace"
)

// The folder becomes a workspace when it is opened first.
func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "azml-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ws, err := workspace.Open(ctx, dir+"/churn", &workspace.OpenOptions{CacheDir: dir + "/cache", SecretsKeyFile: dir + "/key"})
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Close(ctx)
	fmt.Println(ws.Name())
	// Output: churn
}
