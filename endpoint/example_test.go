package endpoint_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/workspace"
)

// A Go function behind a key, asked over HTTP.
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

	double := func(_ context.Context, input json.RawMessage) (any, error) {
		var x float64
		err := json.Unmarshal(input, &x)
		return 2 * x, err
	}
	ep, err := ws.Endpoints().Deploy(ctx, "double", endpoint.Config{Handler: double}, nil)
	if err != nil {
		log.Fatal(err)
	}
	var answer float64
	if err := ep.InvokeJSON(ctx, 21, &answer, nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ep.State(), answer)
	// Output: Healthy 42
}
