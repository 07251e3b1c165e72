// The page's API, as the server documents it.

async function request(path, options) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) throw new Error(body.error || response.statusText);
  return body;
}

const post = (path, body) => request(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
});

export const state = () => request("api/state");
export const messages = (chat, before = 0) => request(`api/chats/${chat}/messages?limit=100&before=${before}`);
export const commands = (chat) => request(`api/chats/${chat}/commands`);
export const write = (chat, message) => post(`api/chats/${chat}/messages`, message);
export const press = (chat, button) => post(`api/chats/${chat}/press`, button);
export const fileURL = (d) => `api/files/${encodeURIComponent(d.id)}/${encodeURIComponent(d.name)}`;

// listen calls on[kind](event) for each event; on.hello at every new
// connection, when everything has to be read anew, and on.lost when it ends.
export function listen(on) {
  const stream = new EventSource("api/events");
  stream.onerror = () => {
    on.lost();
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => listen(on), 2000);
  };
  for (const kind of ["hello", "message", "delete", "callback", "chat", "commands"]) {
    stream.addEventListener(kind, (e) => on[kind](JSON.parse(e.data)));
  }
}
