package model_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

// Registering a name again makes its next version.
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

	weights := dir + "/weights.json"
	for _, content := range []string{`{"bias": 1}`, `{"bias": 2}`} {
		if err := os.WriteFile(weights, []byte(content), 0o600); err != nil {
			log.Fatal(err)
		}
		if _, err := ws.Models().Register(ctx, "churn", weights, &model.RegisterOptions{Tags: map[string]string{"team": "risk"}}); err != nil {
			log.Fatal(err)
		}
	}
	for m, err := range ws.Models().List(ctx, &model.ListOptions{Name: "churn"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.ID(), m.Details().Tags["team"])
	}
	// Output:
	// churn:2 risk
	// churn:1 risk
}
