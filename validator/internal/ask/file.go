package ask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"datawatch/pkg/cel"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/lint"
	"datawatch/validator/internal/replay"
	"datawatch/validator/internal/schemas"
)

const (
	mostFindings = 15
	mostRules    = 10
	samplesEach  = 2
)

// judged answers a schema file with what lint finds in it and what it would have said of past traffic.
func (d *Desk) judged(ctx context.Context, c telegram.Command) error {
	word := strings.TrimSpace(c.Args)
	if word == "" {
		word = strings.TrimSuffix(path.Base(strings.ReplaceAll(c.File.Name, `\`, "/")), ".json")
	}
	stream, near, err := d.find(ctx, word)
	if err != nil {
		return err
	}
	if stream == "" {
		return d.say(ctx, c, d.which(d.words.which(c.File.Name), near)...)
	}
	text, err := d.o.Bot.Download(ctx, *c.File, MaxFile)
	if errors.Is(err, telegram.ErrTooLarge) {
		return d.say(ctx, c, telegram.Line(telegram.Plain(d.words.tooLarge)))
	}
	if err != nil {
		return err
	}
	file := schemas.Text{Name: string(stream) + ".json", Bytes: text}
	findings, err := d.lint(file)
	if err != nil {
		return err
	}
	lines := append([]telegram.Block{
		telegram.Line(telegram.Plain("📋 "), telegram.Bold(c.File.Name), telegram.Plain(" · "+string(stream))).Ranked(telegram.Head),
	}, d.findings(findings)...)
	if lint.Failed(findings, false) {
		return d.say(ctx, c, append(lines, telegram.Line(telegram.Plain(d.words.notReplayed)))...)
	}
	report, err := d.replay(ctx, stream, file)
	if err != nil {
		return err
	}
	return d.say(ctx, c, append(lines, d.report(report)...)...)
}

// lint is what there is to say of the file where it stood in the folder.
func (d *Desk) lint(file schemas.Text) ([]lint.Finding, error) {
	all, err := lint.Folder(d.o.Dir, file)
	if err != nil {
		return nil, err
	}
	var own []lint.Finding
	name := filepath.ToSlash(filepath.Join(d.o.Dir, file.Name))
	for _, f := range all {
		if f.File == name {
			own = append(own, f)
		}
	}
	return own, nil
}

func (d *Desk) findings(findings []lint.Finding) []telegram.Block {
	faults := 0
	for _, f := range findings {
		if f.Severity == cel.Error {
			faults++
		}
	}
	if len(findings) == 0 {
		return []telegram.Block{telegram.Line(telegram.Plain(d.words.clean))}
	}
	lines := []telegram.Block{telegram.Line(telegram.Bold(d.words.found(faults, len(findings)-faults)))}
	for i, f := range findings {
		if i == mostFindings {
			return append(lines, telegram.Line(telegram.Italic(d.words.more(len(findings)-i))))
		}
		place := ""
		if f.Line > 0 {
			place = fmt.Sprintf("%d:%d", f.Line, f.Column)
		}
		lines = append(lines, telegram.Line(telegram.Code(cmp.Or(place, "–")), telegram.Plain(" "+d.phrase(f.Said()))))
	}
	return lines
}

// replay judges the newest events of the stream by the file, and by the one in force where there is one.
func (d *Desk) replay(ctx context.Context, stream event.Stream, file schemas.Text) (*replay.Report, error) {
	set, err := schemas.Load(d.o.Dir, file)
	if err != nil {
		return nil, err
	}
	o := replay.Options{Schemas: set, Samples: samplesEach}
	if now := d.o.Schemas(); now.For(stream) != nil {
		o.Against = now
	}
	past, done, err := d.past(ctx, stream)
	if err != nil {
		return nil, err
	}
	defer done()
	return replay.Run(ctx, past, o)
}

func (d *Desk) report(r *replay.Report) []telegram.Block {
	if r.Events == 0 || r.From == nil {
		return []telegram.Block{telegram.Line(telegram.Plain(d.words.nothingPast))}
	}
	head := d.words.wouldFail(r.Failing, d.number(r.Failing), d.number(r.Events))
	if c := r.Compared; c != nil {
		head = d.words.wouldChange(d.number(c.NewlyFailing), d.number(c.NewlyPassing), d.number(r.Events))
	}
	lines := []telegram.Block{
		telegram.Line(telegram.Bold(head)), telegram.Line(telegram.Italic(d.words.events(d.clock(*r.From), d.clock(*r.To)))),
	}
	for _, s := range r.Streams {
		for i, rule := range s.Rules {
			if i == mostRules {
				lines = append(lines, telegram.Line(telegram.Italic(d.words.more(len(s.Rules)-i))))
				break
			}
			if rule.Before == nil || *rule.NewlyFailing+*rule.NewlyPassing > 0 { // else it says what the file in force says
				lines = append(lines, d.rule(rule)...)
			}
		}
		for _, rule := range sorted(s.Unrunnable) {
			lines = append(lines, telegram.Line(telegram.Plain(d.words.unrunnable(rule, d.number(s.Unrunnable[rule])))))
		}
	}
	return lines
}

func (d *Desk) rule(r *replay.RuleReport) []telegram.Block {
	count := d.number(r.Failing)
	if r.Before != nil {
		count = fmt.Sprintf("+%s −%s", d.number(*r.NewlyFailing), d.number(*r.NewlyPassing))
	}
	message := r.Message
	if !r.Own {
		message = d.phrase(message)
	}
	head := []telegram.Span{telegram.Plain("• "), telegram.Bold(count), telegram.Plain("  " + message)}
	if place := strings.TrimPrefix(r.Place, "/"); place != "" {
		head = append(head, telegram.Plain(" · "), telegram.Code(place))
	}
	lines := []telegram.Block{telegram.Line(head...)}
	for _, s := range r.Samples {
		var line []telegram.Span
		if len(s.Key) > 0 && string(s.Key) != "null" {
			line = append(line, telegram.Plain(d.words.key+" "), telegram.Code(telegram.Shorten(string(s.Key), 64)), telegram.Plain(" "))
		}
		if s.Actual != "" {
			line = append(line, telegram.Plain(d.words.got+" "), telegram.Code(telegram.Shorten(s.Actual, 64)), telegram.Plain(" "))
		}
		if s.Expected != "" {
			line = append(line, telegram.Plain(d.words.expected+" "), telegram.Code(telegram.Shorten(s.Expected, 64)))
		}
		if len(line) > 0 {
			lines = append(lines, telegram.Line(append([]telegram.Span{telegram.Plain("   ")}, line...)...).Ranked(telegram.Detail))
		}
	}
	return lines
}
