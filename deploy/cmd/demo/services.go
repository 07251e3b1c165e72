package main

import (
	"bytes"
	"context"
	_ "embed"
	"os"
	"path/filepath"
	"text/template"

	"datawatch/deploy/program"
)

// ports are where the services serve metrics and health when nothing else is there.
var ports = map[string]int{"collector": 9101, "preprocessor": 9102, "validator": 9103}

//go:embed datawatch.yaml
var configuration string

// build makes the same programs that users run.
func (d *demo) build(ctx context.Context) error {
	for _, name := range program.Services {
		path, err := program.Build(ctx, name, name, filepath.Join(d.folder, "bin"))
		if err != nil {
			return err
		}
		d.programs = append(d.programs, path)
	}
	return nil
}

func (d *demo) startServices(ctx context.Context) error {
	if err := d.configure(ctx); err != nil {
		return err
	}
	for i, name := range program.Services {
		p, err := program.Start(d.programs[i], d.configuration(), filepath.Join(d.folder, name+".log"))
		if err != nil {
			return err
		}
		d.services = append(d.services, p)
		d.stack.Push(name, p.Stop)
	}
	for i, p := range d.services {
		if err := p.AwaitReady(ctx, d.place.Listen[program.Services[i]]); err != nil {
			return err
		}
	}
	return nil
}

// configure finds the services' ports and writes the configuration of this run.
func (d *demo) configure(ctx context.Context) error {
	for _, name := range program.Services {
		listener, err := listenNear(ctx, ports[name])
		if err != nil {
			return err
		}
		d.place.Listen[name] = listener.Addr().String()
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return d.writeConfiguration()
}

func (d *demo) configuration() string { return filepath.Join(d.folder, "datawatch.yaml") }

// writeConfiguration writes it as things stand. A service that reads it meanwhile sees the former one.
func (d *demo) writeConfiguration() error {
	form, err := template.New("datawatch.yaml").Parse(configuration)
	if err != nil {
		return err
	}
	text := new(bytes.Buffer)
	if err := form.Execute(text, d.place); err != nil {
		return err
	}
	fresh := d.configuration() + ".new"
	if err := os.WriteFile(fresh, text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, d.configuration())
}

// tellWhereToLook says what a person can do now.
func (d *demo) tellWhereToLook() {
	d.say("")
	if d.telegram.page != "" {
		d.say("  chat page   %s", d.telegram.page)
	} else {
		d.say("  chat        the one that TELEGRAM_CHAT names")
	}
	for _, name := range program.Services {
		d.say("  metrics     http://%s/metrics   %s", d.place.Listen[name], name)
	}
	d.say("  schemas     %s   edit a file and watch", d.place.Schemas)
	d.say("  settings    %s", d.configuration())
	d.say("  database    psql '%s'", d.place.ShopDSN)
	d.say("")
	d.say("The shop is open; one line an alert follows. Ctrl-C ends everything.")
}
