package compute_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/workspace"
)

// "local" is always there; other targets have names of their own.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "azml-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ws, err := workspace.Open(ctx, dir+"/ws", &workspace.OpenOptions{CacheDir: dir + "/cache", SecretsKeyFile: dir + "/key"})
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Close(ctx)

	if _, err := ws.Compute().Create(ctx, "gpu-box", compute.Local{}, &compute.CreateOptions{Description: "under the desk"}); err != nil {
		log.Fatal(err)
	}
	for target, err := range ws.Compute().List(ctx, nil) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(target.Name(), target.Type())
	}
	// Output:
	// local Local
	// gpu-box Local
}
