// What `Link` headers of a 201 say (RFC 8288; RFC 9725 sections 4.6 and 4.9). Pure. Whatever is not known is passed over.

/** The extension by which a server sends events of a session. */
export const EVENTS = "urn:ietf:params:whep:ext:core:server-sent-events";

/** All links of a header: [{url, rel, …parameters}], names in lower case. */
export function links(header) {
  if (!header) return [];
  return [...header.matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^",;]*))*)/g)].map(([, url, tail]) => ({
    ...parameters(tail),
    url,
  }));
}

function parameters(tail) {
  const found = {};
  for (const [, name, quoted, bare] of tail.matchAll(/;\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^",;]*))/g)) {
    found[name.toLowerCase()] = quoted ?? bare.trim();
  }
  return found;
}

/** ICE servers, as `RTCPeerConnection` takes them. */
export function iceServers(header) {
  return links(header)
    .filter(({ url, rel }) => rel === "ice-server" && /^(stun|stuns|turn|turns):/.test(url))
    .map(({ url, username, credential }) =>
      username === undefined ? { urls: url } : { urls: url, username, credential, credentialType: "password" },
    );
}

/** Where to ask for events of one type, or null where the server does not offer them. */
export function eventsUrl(header, type) {
  const link = links(header).find(({ rel }) => rel === EVENTS);
  if (link === undefined) return null;
  const offered = link.events?.split(",").map((name) => name.trim()); // the list may be left out
  return offered === undefined || offered.includes(type) ? link.url : null;
}
