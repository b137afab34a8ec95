package experiment_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// Submit runs a command on this machine and keeps what it wrote.
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

	exp, err := ws.Experiments().CreateOrUpdate(ctx, "churn", nil)
	if err != nil {
		log.Fatal(err)
	}
	src := dir + "/src"
	if err := os.Mkdir(src, 0o700); err != nil {
		log.Fatal(err)
	}
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{Source: src, Command: []string{"echo", "trained"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := r.Wait(ctx, &run.WaitOptions{Output: os.Stdout}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Status())
	// Output:
	// trained
	// Completed
}
