package mlflow

import (
	"context"
	"iter"

	"github.com/ncruces/go-sqlite3"
)

// loggedModelStatuses are MLflow's statuses of logged models as databases and
// files have them.
var loggedModelStatuses = map[int]string{1: loggedModelPending, 2: loggedModelReady, 3: loggedModelFailed}

// The statuses of logged models.
const (
	loggedModelPending = "LOGGED_MODEL_PENDING"
	loggedModelReady   = "LOGGED_MODEL_READY"
	loggedModelFailed  = "LOGGED_MODEL_UPLOAD_FAILED"
)

func (d *database) loggedModels(ctx context.Context, experimentID string) iter.Seq2[loggedModel, error] {
	return func(yield func(loggedModel, error) bool) {
		if !d.has("logged_models.model_id") {
			return
		}
		var list []loggedModel
		err := d.query(ctx, func(row *sqlite3.Stmt) {
			list = append(list, loggedModel{id: row.ColumnText(0), experiment: experimentID, name: row.ColumnText(1), kind: row.ColumnText(2),
				runID: row.ColumnText(3), status: loggedModelStatuses[row.ColumnInt(4)], created: moment(row.ColumnInt64(5)), artifacts: row.ColumnText(6)})
		}, "SELECT model_id, name, model_type, source_run_id, status, creation_timestamp_ms, artifact_location FROM logged_models "+
			"WHERE experiment_id = ? AND lifecycle_stage = 'active' ORDER BY creation_timestamp_ms, model_id", int64Of(experimentID))
		if err != nil {
			yield(loggedModel{}, err)
			return
		}
		for _, m := range list {
			err := d.completeModel(ctx, &m)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// completeModel reads what is known of a logged model in other tables.
func (d *database) completeModel(ctx context.Context, m *loggedModel) (err error) {
	if m.params, err = d.labels(ctx, "SELECT param_key, param_value FROM logged_model_params WHERE model_id = ?", m.id); err != nil {
		return err
	}
	if m.tags, err = d.labels(ctx, "SELECT tag_key, tag_value FROM logged_model_tags WHERE model_id = ?", m.id); err != nil {
		return err
	}
	return d.query(ctx, func(row *sqlite3.Stmt) {
		value := double(row.ColumnFloat(3)).value()
		if row.ColumnType(3) == sqlite3.NULL {
			value = nan
		}
		m.metrics = append(m.metrics, modelMetric{point{row.ColumnInt64(2), row.ColumnInt64(1), value}, row.ColumnText(0), row.ColumnText(4),
			row.ColumnText(5), row.ColumnText(6)})
	}, "SELECT metric_name, metric_timestamp_ms, metric_step, metric_value, run_id, dataset_name, dataset_digest FROM logged_model_metrics "+
		"WHERE model_id = ? ORDER BY metric_name, metric_timestamp_ms, metric_step", m.id)
}

// inWorkspace is the condition for rows of the workspace that is read, the only
// one of most servers.
func (d *database) inWorkspace(table string) string {
	if d.has(table + ".workspace") {
		return table + ".workspace = 'default'"
	}
	return "1"
}

func (d *database) models(ctx context.Context) iter.Seq2[registeredModel, error] {
	return func(yield func(registeredModel, error) bool) {
		if !d.has("registered_models.name") {
			return
		}
		var list []registeredModel
		err := d.query(ctx, func(row *sqlite3.Stmt) {
			list = append(list, registeredModel{name: row.ColumnText(0), description: row.ColumnText(1), created: moment(row.ColumnInt64(2))})
		}, "SELECT name, description, creation_time FROM registered_models WHERE "+d.inWorkspace("registered_models")+" ORDER BY name")
		if err != nil {
			yield(registeredModel{}, err)
			return
		}
		for _, m := range list {
			err := d.completeRegistered(ctx, &m)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func (d *database) completeRegistered(ctx context.Context, m *registeredModel) (err error) {
	if d.has("registered_model_tags.key") {
		m.tags, err = d.labels(ctx, "SELECT key, value FROM registered_model_tags WHERE name = ? AND "+d.inWorkspace("registered_model_tags"), m.name)
	}
	if err != nil || !d.has("registered_model_aliases.alias") {
		return err
	}
	m.aliases = map[string]int{}
	return d.query(ctx, func(row *sqlite3.Stmt) { m.aliases[row.ColumnText(0)] = row.ColumnInt(1) },
		"SELECT alias, version FROM registered_model_aliases WHERE name = ? AND "+d.inWorkspace("registered_model_aliases"), m.name)
}

func (d *database) versions(ctx context.Context, model string) iter.Seq2[modelVersion, error] {
	return func(yield func(modelVersion, error) bool) {
		var list []modelVersion
		err := d.query(ctx, func(row *sqlite3.Stmt) {
			list = append(list, modelVersion{number: row.ColumnInt(0), description: row.ColumnText(1), stage: row.ColumnText(2), source: row.ColumnText(3),
				runID: row.ColumnText(4), created: moment(row.ColumnInt64(5)), runLink: row.ColumnText(6), storage: row.ColumnText(7)})
		}, "SELECT version, description, current_stage, source, run_id, creation_time, "+d.column("model_versions", "run_link")+", "+
			d.column("model_versions", "storage_location")+" FROM model_versions WHERE name = ? AND current_stage <> 'Deleted_Internal' AND "+
			d.inWorkspace("model_versions")+" ORDER BY version", model)
		if err != nil {
			yield(modelVersion{}, err)
			return
		}
		for _, v := range list {
			var err error
			if d.has("model_version_tags.key") {
				v.tags, err = d.labels(ctx, "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ? AND "+
					d.inWorkspace("model_version_tags"), model, int64(v.number))
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}
