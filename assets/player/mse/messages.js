// Server-sent events in the body of a POST's response, which EventSource cannot read: JSON in `data` lines.

/** The messages of a response's body as they come. Comments and other fields are passed over. */
export async function* messages(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    text += decoder.decode(value, { stream: !done });
    const events = text.split(/\r?\n\r?\n/);
    text = done ? "" : events.pop();
    for (const event of events) {
      const data = dataOf(event);
      if (data) yield JSON.parse(data);
    }
    if (done) return;
  }
}

function dataOf(event) {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
}
