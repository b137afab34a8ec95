package azureblob

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

var _ backend.Protector = (*Store)(nil)

// Protection tells how the storage account keeps deleted blobs, and whether it
// keeps replaced ones: two requests. Errors: ErrUnsupported for a store that New
// made of a client; ErrDenied for who may not ask, such as a signature on the
// container or a role on its data alone; ErrUnavailable.
func (s *Store) Protection(ctx context.Context) (backend.Protection, error) {
	if s.account == nil {
		return backend.Protection{}, fmt.Errorf("%w: the settings of the storage account of %s: open the store by azureblob.Open", azml.ErrUnsupported, s.place)
	}
	var p backend.Protection
	settings, err := s.account.GetProperties(ctx, nil)
	if err != nil {
		return p, s.explain(ctx, "read settings of the storage account of", s.place, err)
	}
	if kept := settings.DeleteRetentionPolicy; kept != nil && value(kept.Enabled) {
		p.SoftDelete = time.Duration(value(kept.Days)) * 24 * time.Hour
	}
	// Of versioning, what a blob is listed with tells.
	pager := s.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: new(s.spell("", false)), MaxResults: new(int32(1)), Include: container.ListBlobsInclude{Versions: true}})
	page, err := pager.NextPage(ctx)
	if err != nil {
		return p, s.explain(ctx, "list versions in", s.place, err)
	}
	for _, item := range page.Segment.BlobItems {
		p.Versions = p.Versions || value(item.VersionID) != ""
	}
	return p, nil
}

// account makes the SDK's client of the container's account.
func (c Credential) account(containerURL string, opts *service.ClientOptions) (*service.Client, error) {
	accountURL := containerURL[:max(0, strings.LastIndexByte(strings.TrimSuffix(containerURL, "/"), '/'))]
	switch {
	case c.token != nil:
		return service.NewClient(accountURL, c.token, opts)
	case c.key != nil:
		return service.NewClientWithSharedKeyCredential(accountURL, c.key, opts)
	case c.sas != "":
		return service.NewClientWithNoCredential(accountURL+"/?"+c.sas, opts)
	}
	return service.NewClientWithNoCredential(accountURL, opts)
}
