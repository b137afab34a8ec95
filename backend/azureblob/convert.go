package azureblob

import (
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"github.com/azml-go/azml/backend"
)

// value gives what p points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// describe makes a description of what the service says. Its headers quote
// ETags, its lists don't.
func describe(key string, etag *azcore.ETag, modified *time.Time, size int64) backend.Info {
	return backend.Info{Key: key, Size: size, ETag: backend.ETag(strings.Trim(string(value(etag)), `"`)), Modified: value(modified).UTC()}
}

// ifMatch makes the condition that a blob has an ETag; none of an empty one.
func ifMatch(etag backend.ETag) *blob.AccessConditions {
	if etag == "" {
		return nil
	}
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: new(azcore.ETag(`"` + etag + `"`))}}
}

// ifNone is the condition that there is no blob.
func ifNone() *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: new(azcore.ETagAny)}}
}
