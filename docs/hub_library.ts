// What huggingface.js needs to know of umzoo, for a pull request to github.com/huggingface/huggingface.js once a dozen
// repositories have `library_name: umzoo`. Downloads are counted by `config.json`, which is the Hub's default.

// packages/tasks/src/model-libraries-snippets.ts
export const umzoo = (model: ModelData): string[] => [
	`# pip install umzoo
import umzoo

model = umzoo.from_pretrained("${model.id}")
scan = umzoo.load_scan("scan.nii.gz", model)
vector = umzoo.embed(model, scan).vector`,
	`umzoo nnunet train DATASET 3d_fullres 0 --weights ${model.id}`,
];

// packages/tasks/src/model-libraries.ts, in MODEL_LIBRARIES_UI_ELEMENTS
export const entry = {
	umzoo: {
		prettyLabel: "umzoo",
		repoName: "umzoo",
		repoUrl: "REPOSITORY", // the address of this repository,
		snippets: snippets.umzoo,
		filter: false,
	},
};
