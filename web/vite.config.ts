import { defineConfig } from 'vite'

// Names without hashes: the files are committed, and the service names their content by ETag.
export default defineConfig({
  base: './',
  publicDir: 'public',
  build: {
    target: 'es2022',
    cssCodeSplit: false,
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rollupOptions: {
      input: 'app/main.tsx',
      output: {
        entryFileNames: 'app.js',
        chunkFileNames: '[name].js',
        assetFileNames: (asset) =>
          asset.names[0]?.endsWith('.css') ? 'app.css' : '[name][extname]',
      },
    },
  },
  test: { include: ['test/**/*.test.ts'], environment: 'node' },
} as import('vite').UserConfig)
