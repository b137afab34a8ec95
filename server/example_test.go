package server_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/azml-go/azml/server"
	"github.com/azml-go/azml/token"
	"github.com/azml-go/azml/workspace"
)

// A program serves its workspace, lets a client in by a token, and ends.
func ExampleServer_Serve() {
	dir, err := os.MkdirTemp("", "azml-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	ws, err := workspace.Open(ctx, filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key")})
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Close(context.Background())
	_, secret, err := ws.Tokens().Create(ctx, "dashboard", token.RoleReader, nil)
	if err != nil {
		log.Fatal(err)
	}

	srv, err := server.New(ws, nil)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- srv.Serve(ctx, listener, nil) }()

	for _, authorization := range []string{"", "Bearer " + string(secret)} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+"/api/2.0/mlflow/experiments/search", nil)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Authorization", authorization)
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	fmt.Println(secret)
	cancel()
	fmt.Println(<-ended)
	// Output:
	// 401 Unauthorized
	// 200 OK
	// REDACTED
	// <nil>
}
