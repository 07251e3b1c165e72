package wrongrows

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
)

// Load reads what stands in the partitions of the topic.
func Load(ctx context.Context, scanner *broker.Scanner, topic string, partitions []int32) (*Rows, error) {
	rows := New()
	for _, partition := range partitions {
		from, err := scanner.Oldest(topic, partition)
		if err != nil {
			return nil, fmt.Errorf("read wrong rows of partition %d: %w", partition, err)
		}
		to, err := scanner.Settled(ctx, topic, partition)
		if err != nil {
			return nil, fmt.Errorf("read wrong rows of partition %d: %w", partition, err)
		}
		if err := scanner.Scan(ctx, topic, partition, from, to, rows.take); err != nil {
			return nil, fmt.Errorf("read wrong rows of partition %d: %w", partition, err)
		}
	}
	return rows, nil
}

// take applies one record of the topic.
func (r *Rows) take(record broker.Record) error {
	key, stream, rule, err := ParseKey(record.Key)
	if err != nil {
		return err
	}
	before, schema := r.Standing(record.Partition, key)
	standing := slices.DeleteFunc(slices.Clone(before), func(s Standing) bool { return s.Rule == rule })
	if record.Value != nil {
		var v event.Violation
		if err := json.Unmarshal(record.Value, &v); err != nil {
			return fmt.Errorf("wrong row at %s/%d/%d: %w", record.Topic, record.Partition, record.Offset, err)
		}
		if version := v.Schema.Version(); len(standing) > 0 && schema != version { // by two versions of the file
			schema = ""
		} else {
			schema = version
		}
		standing = append(standing, Standing{rule, severityOf(&v, rule)})
	}
	r.Set(record.Partition, stream, key, schema, standing)
	return nil
}

// severityOf is the highest severity of a violation's errors of one rule.
func severityOf(v *event.Violation, rule string) event.Severity {
	severity := event.Severity("")
	for i := range v.Errors {
		if RuleOf(&v.Errors[i]) == rule {
			severity = worse(severity, v.Errors[i].Severity)
		}
	}
	if severity == "" { // the error was beyond those that a violation lists
		return v.Severity
	}
	return severity
}

// RuleOf is the name by which an error's row stands: its rule, or the schema as a whole.
func RuleOf(e *event.ViolationError) string {
	if e.Rule == "" {
		return schemas.SchemaRule
	}
	return e.Rule
}

func worse(a, b event.Severity) event.Severity {
	order := []event.Severity{"", event.Info, event.Warning, event.Critical}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}
