// Package s3 keeps the files of a datastore in a bucket of Amazon S3 or of a
// server that speaks its protocol (MinIO, Ceph, SeaweedFS, versitygw and
// others). It links minio-go, so only programs that use it import it:
//
//	workspace.Open(ctx, dir, &workspace.OpenOptions{Datastores: []backend.DatastoreDriver{s3.Driver{}}})
//
// Large files go up in parts, in parallel; every request carries a checksum that
// the server verifies. minio-go retries what is worth it. Objects of no bytes
// whose keys end in "/", with which other programs mark folders, are not listed.
package s3
