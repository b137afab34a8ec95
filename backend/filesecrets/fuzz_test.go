package filesecrets

import (
	"bytes"
	"testing"

	"github.com/azml-go/azml"
)

// FuzzDecode reads any bytes as a secret's file: never a panic, never a value
// that was not sealed, always a class.
func FuzzDecode(f *testing.F) {
	key := bytes.Repeat([]byte{7}, keySize)
	good, err := seal(key, "Name", "value")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"name":"name"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		sealed, err := decode("name", data)
		value := ""
		if err == nil {
			value, err = sealed.open(key)
		}
		if err != nil && azml.ClassOf(err) == nil {
			t.Fatalf("error without a class: %v", err)
		}
		if err == nil && value != "value" {
			t.Fatalf("opened to %q", value)
		}
	})
}
