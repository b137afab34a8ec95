package mlflow_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"os"

	"github.com/azml-go/azml/mlflow"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/server"
	"github.com/azml-go/azml/workspace"
)

// Carry a workspace over to an MLflow server, and from there into another one.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "azml-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	open := func(name string) *workspace.Workspace {
		ws, err := workspace.Open(ctx, dir+"/"+name, &workspace.OpenOptions{CacheDir: dir + "/cache", SecretsKeyFile: dir + "/key"})
		if err != nil {
			log.Fatal(err)
		}
		return ws
	}
	first, there, second := open("first"), open("there"), open("second")
	defer first.Close(ctx)
	defer there.Close(ctx)
	defer second.Close(ctx)
	exp, err := first.Experiments().CreateOrUpdate(ctx, "churn", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = exp.Run(ctx, func(_ context.Context, r *run.Run) error {
		return r.Log("loss", 0.5, &run.LogOptions{Step: 1})
	}, nil)
	if err != nil {
		log.Fatal(err)
	}

	// Any MLflow server will do; this one is azml's own.
	handler, err := server.New(there, nil)
	if err != nil {
		log.Fatal(err)
	}
	mlflowServer := httptest.NewServer(handler)
	defer mlflowServer.Close()

	exported, err := mlflow.Export(ctx, first, mlflowServer.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("exported", exported.Runs.Created, "run with", exported.Values, "value")
	imported, err := mlflow.Import(ctx, second, mlflowServer.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("imported", imported.Runs.Created, "run with", imported.Values, "value")
	again, err := mlflow.Import(ctx, second, mlflowServer.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("again:", again.Runs.Unchanged, "unchanged")
	// Output:
	// exported 1 run with 1 value
	// imported 1 run with 1 value
	// again: 1 unchanged
}
