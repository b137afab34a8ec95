package keyvaulttest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/backend/keyvault/keyvaulttest"
)

func Example() {
	ctx := context.Background()
	v := keyvaulttest.Start(nil)
	defer v.Close()
	secrets, err := keyvault.New(v.URL(), v.Credential(), &keyvault.Options{Client: v.ClientOptions()})
	if err != nil {
		log.Fatal(err)
	}
	if err := secrets.Set(ctx, "db-password", "hunter2"); err != nil {
		log.Fatal(err)
	}
	password, err := secrets.Get(ctx, "DB-Password")
	fmt.Println(password, err)
	fmt.Println(v.Requests()["SetSecret"])
	// Output:
	// hunter2 <nil>
	// 1
}
