package scoring

import (
	"encoding/json"
	"fmt"
	"net/url"
	"unicode/utf8"

	"github.com/azml-go/azml"
)

// queryJSON gives a query's parameters as one JSON object: each value is taken
// as JSON where it is JSON, else as a string; a repeated key gives an array.
func queryJSON(query string) (json.RawMessage, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("%w: the URL's query can't be read: %w", azml.ErrInvalid, err)
	}
	object := make(map[string]any, len(values))
	for key, list := range values {
		if len(list) == 1 {
			object[key] = queryValue(list[0])
			continue
		}
		parsed := make([]json.RawMessage, len(list))
		for i, v := range list {
			parsed[i] = queryValue(v)
		}
		object[key] = parsed
	}
	return json.Marshal(object)
}

func queryValue(text string) json.RawMessage {
	if utf8.ValidString(text) && json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, _ := json.Marshal(text) // a string always has a JSON form
	return quoted
}
