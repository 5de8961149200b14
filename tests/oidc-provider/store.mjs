// What the provider remembers: in memory, and in a file if one is named, so that a provider that
// was killed can be started again where it stopped.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

export class Store {
  #entries = new Map();
  #file;

  constructor(file) {
    this.#file = file;
    if (file && existsSync(file)) this.#entries = new Map(JSON.parse(readFileSync(file, 'utf8')));
  }

  // The adapter of one of the provider's models, with the methods that oidc-provider asks for.
  // Expiry is the provider's to judge: what has expired stays, so that it is known as such.
  adapter(model) {
    const own = `${model}:`;
    return {
      upsert: async (id, payload) => this.#change(() => this.#entries.set(own + id, payload)),
      find: async (id) => this.#entries.get(own + id),
      findByUid: async (uid) => this.#first(own, (entry) => entry.uid === uid),
      findByUserCode: async (code) => this.#first(own, (entry) => entry.userCode === code),
      consume: async (id) => this.#change(() => {
        this.#entries.get(own + id).consumed = Math.floor(Date.now() / 1000);
      }),
      destroy: async (id) => this.#change(() => this.#entries.delete(own + id)),
      revokeByGrantId: async (grantId) => {
        this.forget(model, (entry) => entry.grantId === grantId);
      },
    };
  }

  // Deletes what a model has, and says how many those were.
  forget(model, isMeant = () => true) {
    const keys = this.#of(`${model}:`).filter(([, entry]) => isMeant(entry)).map(([key]) => key);
    this.#change(() => keys.forEach((key) => this.#entries.delete(key)));
    return keys.length;
  }

  // Puts the expiry of what a model has into the past, and says how many those were.
  expire(model) {
    const entries = this.#of(`${model}:`);
    // Any second that is over does.
    this.#change(() => entries.forEach(([, entry]) => { entry.exp = 1; }));
    return entries.length;
  }

  #of(own) {
    return [...this.#entries].filter(([key]) => key.startsWith(own));
  }

  #first(own, isMeant) {
    return this.#of(own).map(([, entry]) => entry).find(isMeant);
  }

  #change(change) {
    change();
    if (!this.#file) return;
    // Renamed into place, so that a kill leaves the old file or the new one.
    writeFileSync(`${this.#file}.new`, JSON.stringify([...this.#entries]));
    renameSync(`${this.#file}.new`, this.#file);
  }
}
