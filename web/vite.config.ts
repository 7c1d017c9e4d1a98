import { createHash } from 'node:crypto'
import { defineConfig, type Plugin } from 'vite'

/** A file that names the build, by which an open page learns that the service has another one. */
const version: Plugin = {
  name: 'version',
  enforce: 'post',
  generateBundle(_, bundle) {
    const hash = createHash('sha256')
    for (const name of Object.keys(bundle).sort()) {
      const file = bundle[name]
      if (file) hash.update(name).update(file.type === 'chunk' ? file.code : file.source)
    }
    const source = hash.digest('hex').slice(0, 16)
    this.emitFile({ type: 'asset', fileName: 'version.txt', source })
  },
}

// Names without hashes: the files are committed, and the service names their content by ETag.
export default defineConfig({
  base: './',
  publicDir: 'public',
  plugins: [version],
  build: {
    target: 'es2022',
    cssCodeSplit: false,
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rollupOptions: {
      input: 'app/main.tsx',
      output: {
        // All that the first paint needs, in one file: each is a request that others wait behind.
        codeSplitting: { groups: [{ name: 'first', tags: ['$initial'] }] },
        entryFileNames: 'app.js',
        chunkFileNames: '[name].js',
        assetFileNames: (asset) =>
          asset.names[0]?.endsWith('.css') ? 'app.css' : '[name][extname]',
      },
    },
  },
  test: { include: ['test/**/*.test.ts'], environment: 'node' },
} as import('vite').UserConfig)
